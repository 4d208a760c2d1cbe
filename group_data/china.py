"""Servers in mainland China: they download from mirrors in China.

A value here overrides group_data/all.py; a host's own data in the inventory overrides both.
"""

# The first of apt_mirror_candidates that answers and is fresh. apt_mirror = None restores the
# original sources. Security updates still come from the distribution itself.
apt_mirror = "auto"

# The engine's packages. They are signed by Docker's own key on every mirror.
docker_mirror = "aliyun"

# NVIDIA Container Toolkit, from the University of Science and Technology of China.
toolkit_mirror = "ustc"

# NVIDIA's own driver repository in China.
nvidia_mirror = "https://developer.download.nvidia.cn/compute/cuda/repos"

# Docker Hub is not reachable, and public mirrors are unreliable: use the mirror of your cloud
# provider or your company.
# docker_registry_mirrors = ["https://ID.mirror.aliyuncs.com"]

# For image builds on the host: used by every Dockerfile that declares the ARG.
build_args = {
    "PIP_INDEX_URL": "https://mirrors.aliyun.com/pypi/simple/",
    "HF_ENDPOINT": "https://hf-mirror.com",
    "NPM_CONFIG_REGISTRY": "https://registry.npmmirror.com",
}

# A proxy instead, or in addition:
# proxy_http = "http://10.0.0.5:3128"
# proxy_https = "http://10.0.0.5:3128"
