"""Every setting with its default, generated from gpuhost's code.

Set your own values in group_data/GROUP.py for a group of your inventory, or at a host in the
inventory: both override this file. docs/settings.md lists the same settings.
"""

# A machine that was used before ------------------------------------------------------------------

# Allow the first run on a used machine to stop, close or replace what is already there.
adopt = False

# The GPU -----------------------------------------------------------------------------------------

# Whether the host must have a GPU; `auto`: only if one is on the PCI bus. Allowed: one of "auto",
# "required", "none".
gpu = "auto"

# How many GPUs must answer; None: any number. Allowed: None or a whole number, at least 1.
gpu_count = None

# CUDA --------------------------------------------------------------------------------------------

# The CUDA version that the containers use, such as "12.1"; None: do not check. Allowed: None or a
# CUDA version in quotes, such as "12.1".
cuda = None

# System ------------------------------------------------------------------------------------------

# Continue on a distribution or architecture that gpuhost does not support.
system_allow_unsupported = False

# Install security updates automatically; never NVIDIA's or Docker's packages.
system_security_updates = True

# HTTP proxy --------------------------------------------------------------------------------------

# HTTP proxy for apt, the engine, builds and containers. Allowed: None or a URL, optionally with
# user and password.
proxy_http = None

# The same for HTTPS. Allowed: None or a URL, optionally with user and password.
proxy_https = None

# Hosts and networks reached without the proxy. Allowed: a list, each item a host, domain or
# network, such as "10.0.0.0/8".
proxy_no = ["localhost", "127.0.0.1", "::1"]

# Where packages come from ------------------------------------------------------------------------

# Mirror of the distribution's packages; None: the original sources. Allowed: None or "auto" or
# "aliyun" or "tuna" or "ustc" or "tencent" or "huawei" or a URL.
apt_mirror = None

# Take security updates from the mirror too, although it may lag behind.
apt_mirror_security = False

# The mirrors that `auto` tries, in this order. Allowed: a list, each item "aliyun" or "tuna" or
# "ustc" or "tencent" or "huawei" or a URL, at least 1 item.
apt_mirror_candidates = ["aliyun", "tuna", "ustc"]

# `auto` refuses a mirror whose Release file is older. Allowed: a whole number of days, at least 1.
apt_mirror_max_age_days = 7

# How long each step waits for another apt or dpkg process to finish. Allowed: a whole number of s,
# at least 0, at most 3600.
apt_lock_timeout_s = 300

# NVIDIA driver -----------------------------------------------------------------------------------

# Only check the driver, or install it too. Allowed: one of "check", "install".
nvidia_driver = "check"

# Install the driver from the distribution or from NVIDIA's own repository. Allowed: one of
# "distro", "nvidia".
nvidia_source = "distro"

# The driver branch to install, such as "580"; None: the newest that fits the cards. Allowed: None
# or a driver branch in quotes, such as "580".
nvidia_branch = None

# A mirror of NVIDIA's repository; None: developer.download.nvidia.com. Allowed: None or a URL.
nvidia_mirror = None

# The key that must sign NVIDIA's driver repository; None: the one that NVIDIA published for the
# distribution's release. Allowed: None or 40 hexadecimal digits, upper case.
nvidia_key_fingerprint = None

# Reboot when the driver needs it, and wait until it is loaded.
nvidia_reboot = False

# Hold NVIDIA's packages at their version: an upgrade breaks running containers.
nvidia_hold = True

# Keep the driver loaded while no process uses the card.
nvidia_persistence = True

# MIG devices of cards: by index or "all", {} switches MIG off; a card that is not named is left as
# it is. Allowed: profiles and how many, by card, such as {"0": {"3g.40gb": 2}}.
nvidia_mig = {}

# NVIDIA Container Toolkit ------------------------------------------------------------------------

# Repository of the NVIDIA Container Toolkit: NVIDIA's own or a mirror. Allowed: "nvidia" or "ustc"
# or a URL.
toolkit_mirror = "nvidia"

# The version of all toolkit packages, such as "1.20.0"; None: the newest. Allowed: None or a
# version, such as "1.20.0".
toolkit_version = None

# The key that must sign the toolkit's repository. Allowed: 40 hexadecimal digits, upper case.
toolkit_key_fingerprint = "C95B321B61E88C1809C4F759DDCAE044F796ECB0"

# A file on this machine with the key; None: the host downloads it from the mirror. Allowed: None
# or a string.
toolkit_key_file = None

# Image of the GPU test; None: an image that the host makes from its own C library. Allowed: None
# or an image, such as "ubuntu:24.04".
toolkit_test_image = None

# Container engine --------------------------------------------------------------------------------

# Docker's repository, the distribution's packages, or the engine already installed. Allowed: one
# of "docker-ce", "distro", "present".
docker_source = "docker-ce"

# A mirror of Docker's repository. Allowed: "docker" or "aliyun" or "tuna" or "ustc" or "tencent"
# or "huawei" or a URL.
docker_mirror = "docker"

# The key that must sign Docker's repository. Allowed: 40 hexadecimal digits, upper case.
docker_key_fingerprint = "9DC858229FC7DD38854AE2D88D81803C0EBFCD88"

# A file on this machine with the key; None: the host downloads it from the mirror. Allowed: None
# or a string.
docker_key_file = None

# When the engine may be restarted, for a changed configuration or if it does not answer; `idle`:
# if no container stops. Allowed: one of "idle", "always", "never".
docker_restart = "idle"

# Mirrors of Docker Hub, in order. Allowed: a list, each item a URL.
docker_registry_mirrors = []

# A container's log is rotated at this size. Allowed: a size, such as "10m" or "1g".
docker_log_max_size = "10m"

# How many rotated logs are kept. Allowed: a whole number, at least 1.
docker_log_max_file = 3

# Networks for containers, "10.200.0.0/16#24": /24 networks out of 10.200.0.0/16. Allowed: a list,
# each item a pool, such as "10.200.0.0/16#24".
docker_address_pools = []

# Directory of images and volumes; None: the engine's default. Allowed: None or an absolute path.
docker_data_root = None

# Keep containers running while the engine restarts.
docker_live_restore = True

# What manages the containers' cgroups; None: what the engine chooses. See toolkit.reload. Allowed:
# None or "cgroupfs" or "systemd".
docker_cgroup_driver = None

# The engine's feature switches. Allowed: a dictionary, a string to True or False.
docker_features = {}

# Least memory for containers: RAM and swap, or the cgroup's limit if that is lower. Allowed: a
# number of GB, at least 0.
docker_min_memory_gb = 8

# Swap --------------------------------------------------------------------------------------------

# Size of the swap file; 0: no swap file; `auto`: from RAM and free disk space. Allowed: "auto" or
# a number of GB.
swap_size_gb = "auto"

# Path of the swap file. Allowed: an absolute path.
swap_path = "/swapfile"

# `vm.swappiness`: how readily the kernel swaps. Allowed: a whole number, at least 0, at most 200.
swap_swappiness = 10

# Firewall ----------------------------------------------------------------------------------------

# Close every port that is not allowed, published ports of containers too.
firewall_enabled = True

# Incoming connections besides SSH: "80/tcp", "3000/tcp from 10.0.0.0/8", "8000:8100/tcp". Allowed:
# a list, each item a rule, such as "80/tcp".
firewall_allow = []

# A change is reverted unless a new login confirms it within this time. Allowed: a whole number of
# s, at least 30, at most 3600.
firewall_confirm_s = 120

# Disk --------------------------------------------------------------------------------------------

# Least free space on the disks of images, data and apps. Allowed: a number of GB, at least 0.
disk_min_free_gb = 20

# Memory ------------------------------------------------------------------------------------------

# Least RAM of the host. Allowed: a number of GB, at least 0.
memory_min_gb = 8

# Apps --------------------------------------------------------------------------------------------

# The apps that deploys/gpu_host.py releases here: apps/NAME.yaml, in this order. Allowed: a list,
# each item an app, such as "tts".
apps = []

# How many hosts release an app at the same time; after a failure no further host starts. Allowed:
# a whole number, at least 1.
app_batch = 1

# Builds ------------------------------------------------------------------------------------------

# Build arguments of every image built here, if its Dockerfile declares them; an app's own
# build.args take precedence. Allowed: a dictionary, a build argument's name to a string.
build_args = {}

# apt inside builds uses a cache on the host, which tries the mirrors in order; `auto`: if
# apt_mirror is set. Allowed: "auto" or True or False.
build_apt_cache = "auto"

# Drift -------------------------------------------------------------------------------------------

# On the host that checks the fleet for drift every night: its checkout, with the inventory and
# `.venv`; None: no nightly check. Allowed: None or an absolute path of letters, digits and ./_@+-.
drift_directory = None

# The inventory of the nightly check, in that directory. Allowed: a path in a directory, such as
# "inventories/production.py".
drift_inventory = "inventory.py"

# When it starts, in the host's time zone; a random delay of up to 20 minutes is added. Allowed: a
# time of systemd's calendar, such as "04:00" or "Mon..Fri 04:00".
drift_at = "04:00"

# Where it writes an HTML page; None: only its journal and history. Allowed: None or an absolute
# path of letters, digits and ./_@+-.
drift_html = None

# Where it writes metrics, in a directory that node_exporter reads; None: no metrics. Allowed: None
# or an absolute path of letters, digits and ./_@+-.
drift_metrics = None

# Known differences: accepted until that day, but still shown. Allowed: a list, each item {"id":
# "swap.size", "reason": "the new disk comes", "until": "2026-12-31"}.
drift_ignore = []

# More files whose change is told, with patterns: "/etc/myapp/*.conf". Those of sshd, sudo, cron,
# systemd and root's keys always are. Allowed: a list, each item an absolute path.
drift_watch = []
