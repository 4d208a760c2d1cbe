# Reads one host and changes nothing on it: every probe is one command under a time limit, all of them
# run at once, and what they printed goes home as a tar. Sent on stdin after functions that carry
# the paths of interest as data: managed_files, plain_paths, directories and swap_files; and after
# `apps`, which runs apps_on_host.py. $patience: seconds for what may take long.
# shellcheck shell=sh disable=SC2016,SC2154

# probe NAME SECONDS COMMAND...: leaves NAME.out, NAME.err and NAME.rc; no rc says that it timed out.
# `timeout` cannot end a process in D state, so whoever waits for the rc gives up on its own.
probe() {
    name=$1 limit=$2
    shift 2
    { {
        timeout -k 1 "$limit" "$@" </dev/null >"$work/$name.out" 2>"$work/$name.err"
        echo $?
    } & } 2>/dev/null | timeout $((limit + 2)) cat >"$work/$name.rc" &
}

# at_once NAME COMMAND...: for what only asks the kernel, and cannot hang; a tenth of a probe's cost.
at_once() {
    name=$1
    shift
    "$@" </dev/null >"$work/$name.out" 2>"$work/$name.err"
    echo $? >"$work/$name.rc"
}

# Asking Docker's socket would start a stopped engine: systemd knows without doing so.
is_running() {
    timeout 3 systemctl is-active --quiet "$1" </dev/null >/dev/null 2>&1
}

main() {
    LC_ALL=C TZ=UTC0 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    export LC_ALL TZ PATH
    umask 077
    work=
    trap 'rm -rf "$work"' EXIT
    for place in /run /dev/shm "${TMPDIR:-/tmp}" ''; do
        [ "$place" ] || {
            echo 'no directory to write in: /run, /dev/shm and /tmp are full or read-only' >&2
            exit 70
        }
        work=$(mktemp -d "$place/gpuhost.XXXXXX" 2>/dev/null) || continue
        # A full file system still makes directories: room for a whole reading is what counts.
        head -c 2000000 /dev/zero 2>/dev/null >"$work/room" && rm "$work/room" && break
        rm -rf "$work"
    done

    # Small files that anyone may see, each line behind its file's name.
    probe files 10 grep -aH '' /etc/os-release /etc/fstab /etc/docker/daemon.json /proc/meminfo \
        /proc/swaps /proc/sys/vm/swappiness /proc/cmdline /proc/self/status \
        /proc/self/mountinfo /sys/fs/cgroup/memory.max \
        /sys/fs/cgroup/memory/memory.limit_in_bytes \
        /etc/sysctl.d/60-gpuhost-swap.conf /etc/default/ufw /etc/ufw/ufw.conf \
        /etc/ufw/user.rules /etc/ufw/user6.rules /etc/gpuhost/firewall/published.v4 \
        /etc/gpuhost/firewall/published.v6 /var/lib/gpuhost/firewall/reverted \
        /var/lib/gpuhost/docker.json /var/lib/gpuhost/apt/record.json /var/lib/dpkg/arch \
        /etc/cloud/cloud.cfg.d/99-gpuhost-apt.cfg \
        /etc/apt/sources.list.d/docker.sources /etc/apt/keyrings/docker.asc \
        /etc/apt/sources.list.d/nvidia-container-toolkit.sources \
        /etc/apt/keyrings/nvidia-container-toolkit.asc /var/lib/gpuhost/toolkit.json \
        /etc/hosts /etc/nv_tegra_release /proc/1/comm /proc/device-tree/model \
        /proc/device-tree/compatible /proc/locks /run/reboot-required /run/reboot-required.pkgs \
        /run/systemd/container /var/lib/gpuhost/proxy.json /var/lib/gpuhost/nginx.json \
        /etc/apt/apt.conf.d/60gpuhost-nvidia \
        /etc/apt/sources.list.d/nvidia.sources /etc/apt/keyrings/nvidia.asc \
        /etc/apt/preferences.d/gpuhost-nvidia /etc/systemd/system/gpuhost-nvidia-persistence.service \
        /var/lib/gpuhost/nvidia.json /var/lib/gpuhost/applied.json
    # Passwords in URLs stay on the host.
    probe apt_sources 10 sed -s -n -E -e 1F -e 's#://[^/[:space:]]*@#://***@#g; s/^/:/p' \
        /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources \
        /etc/apt/mirrors/* /var/lib/gpuhost/apt/original/etc/apt/sources.list \
        /var/lib/gpuhost/apt/original/etc/apt/*/*
    probe apt_releases 10 grep -asH -m 2 -E '^(Origin|Date):' /var/lib/apt/lists/*_InRelease
    at_once identity id -u
    at_once sudo_user printenv SUDO_USER
    at_once ssh_connection printenv SSH_CONNECTION
    probe clock 10 date +%s
    at_once kernel uname -srmn
    probe packages 10 dpkg-query -W -f '${db:Status-Abbrev}\t${Package}\t${Version}\t${Architecture}\n' \
        'docker*' 'containerd*' 'podman-docker' 'runc' 'python3' 'ufw' 'ca-certificates' 'curl' \
        'unattended-upgrades' 'nvidia-container-toolkit*' 'libnvidia-container*' 'libc6' \
        'nginx' 'certbot' 'apt-cacher-ng' 'git' 'logrotate'
    probe units 10 systemctl show --no-pager \
        -p Id -p LoadState -p ActiveState -p SubState -p UnitFileState -p ActiveEnterTimestamp \
        -p InactiveExitTimestamp -p Listen \
        docker.service docker.socket containerd.service ufw.service firewalld.service \
        ssh.socket gpuhost-firewall.service gpuhost-firewall-revert.service \
        systemd-timesyncd.service chrony.service ntp.service ntpsec.service openntpd.service \
        apt-daily.timer apt-daily-upgrade.timer nvidia-persistenced.service \
        nvidia-fabricmanager.service gpuhost-nvidia-persistence.service nvidia-cdi-refresh.path \
        nginx.service certbot.timer apt-cacher-ng.service gpuhost-drift.timer
    probe failed_units 10 systemctl list-units --state=failed --plain --full --no-legend --no-pager

    # The kernel's own answer, in microseconds: timedatectl would start a service to ask for it.
    probe clock_error 10 python3 -I -c 'import ctypes
timex = (ctypes.c_long * 32)()
ctypes.CDLL(None).adjtimex(timex)
print(timex[3])'
    probe resolved_hostname 10 getent hosts "$(uname -n)"
    probe processes 10 ps -e -o pid=,comm=
    probe apt_locks 10 stat -c '%d %i %n' /var/lib/dpkg/lock-frontend /var/lib/dpkg/lock \
        /var/lib/apt/lists/lock /var/cache/apt/archives/lock
    probe dpkg_updates 10 find /var/lib/dpkg/updates -type f
    probe dpkg_unfinished 10 grep -B1 -E \
        '^Status: .* (reinstreq .*|half-.*|unpacked|triggers-.*)$' /var/lib/dpkg/status
    probe apt_config 10 apt-config dump --no-empty APT::Periodic Unattended-Upgrade::Package-Blacklist
    if [ -e /root/.docker/config.json ]; then
        # The file holds registry passwords too: only a hash of our three keys leaves the host.
        probe client_proxies 10 python3 -I -c 'import hashlib, json
proxies = json.load(open("/root/.docker/config.json")).get("proxies", {}).get("default", {})
ours = {key: proxies.get(key, "") for key in ("httpProxy", "httpsProxy", "noProxy")}
print(hashlib.sha256(json.dumps(ours, sort_keys=True).encode()).hexdigest())'
    fi

    probe pci 10 grep -sHE '^(DRIVER|PCI_ID|PCI_CLASS)=' /sys/bus/pci/devices/*/uevent
    if command -v nvidia-smi >/dev/null 2>&1; then
        # Without persistence each call wakes every card: tens of seconds on eight of them. Drivers
        # before R510 refuse a query for compute_cap, so it is asked with and without.
        probe nvidia_smi "$patience" nvidia-smi
        probe nvidia_query "$patience" nvidia-smi --format=csv,noheader,nounits \
            --query-gpu=index,uuid,name,driver_version,memory.total,memory.used,compute_cap,mig.mode.current,ecc.mode.current,persistence_mode,pci.bus_id,temperature.gpu,utilization.gpu,power.draw
        probe nvidia_query_old "$patience" nvidia-smi --format=csv,noheader,nounits \
            --query-gpu=index,uuid,name,driver_version,memory.total,memory.used,mig.mode.current,ecc.mode.current,persistence_mode,pci.bus_id,temperature.gpu,utilization.gpu,power.draw
        # Each error of a card once, with how often and when last: a program can cause thousands.
        probe kernel_log 10 sh -c 'dmesg --time-format iso | awk "$1"' sh '
            function say(key, line) {
                if (!(key in count)) order[n++] = key
                count[key]++
                last[key] = substr(line, 1, 400)
            }
            /Xid \(/ && match($0, /S?Xid \([^)]*\): [0-9]+/) { say(substr($0, RSTART, RLENGTH), $0); next }
            /NVRM: The NVIDIA GPU / { card = $6 }
            /NVRM: fallen off the bus/ { say("bus " card, $1 " NVRM: GPU " card ": has fallen off the bus"); next }
            /NVRM: .*(has fallen off the bus|RmInitAdapter failed)/ { say(substr($0, length($1) + 2), $0) }
            END { for (i = 0; i < n && i < 100; i++) print count[order[i]] "\t" last[order[i]] }'
    fi
    probe nvidia_packages 10 dpkg-query -W \
        -f '${db:Status-Abbrev}\t${Package}\t${Version}\t${Architecture}\n' '*nvidia*' 'cuda-drivers*' \
        'cuda-compat-*' 'libcuda1*' 'libcudadebugger1' 'libnvcuvid1' 'libnvsdm*' 'libxnvctrl*' 'nvlsm' \
        'dkms' 'linux-image-*' 'linux-headers-*'
    probe nvidia_version 10 cat /proc/driver/nvidia/version
    at_once loaded_modules grep -E '^(nvidia|nouveau)' /proc/modules
    probe kernels 10 find /boot -maxdepth 1 -name 'vmlinuz-*' -printf '%f\n'
    probe kernel_modules 10 grep -sHoE '^[^:]*/(nvidia[a-z0-9-]*|nouveau)\.ko[^:]*:' /lib/modules/*/modules.dep
    probe boot_entry 10 grep -sHE '^ *(GRUB_DEFAULT|saved_entry|next_entry)=' /etc/default/grub \
        /etc/default/grub.d/*.cfg /boot/grub/grubenv
    probe nouveau_off 10 grep -shE -e '^[[:space:]]*(blacklist|install|alias)[[:space:]]+nouveau' \
        -e '^[[:space:]]*install[[:space:]]+nvidia[a-z0-9_-]*[[:space:]]+(/usr)?/bin/(false|true)' \
        /etc/modprobe.d/*.conf /run/modprobe.d/*.conf /lib/modprobe.d/*.conf
    probe secure_boot 10 od -An -v -tu1 /sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c
    for key in /var/lib/dkms/mok.pub /var/lib/shim-signed/mok/MOK.der; do
        if [ -e "$key" ]; then probe "key_$(basename "$key")" 5 mokutil --test-key "$key"; fi
    done

    probe cdi 10 grep -soHE 'lib(cuda|nvidia-ml)\.so\.[0-9.]+|^[[:space:]-]*"?name"?:.*' \
        /var/run/cdi/nvidia.yaml /etc/cdi/nvidia.yaml
    probe mig_instances 10 find /proc/driver/nvidia/capabilities -path '*/mig/gi*/ci*/access'

    probe iptables_save 20 iptables-save -t filter
    probe ip6tables_save 20 ip6tables-save -t filter
    probe nft_tables 10 nft list tables
    probe listeners 10 ss -Hltnup
    probe sshd 10 sshd -T
    at_once interfaces ls /sys/class/net
    probe docker0 10 ip -4 -o address show dev docker0

    managed_files stat 10 stat -c '%a %U %G %s %Y %F %n'
    managed_files hashes 10 sha256sum
    plain_paths paths 10 stat -c '%a %U %G %s %Y %F %n'
    swap_files swap_types 10 blkid -p -o value -s TYPE
    directories disks 10 df -B1 --output=file,source,fstype,size,avail,itotal,iavail,target
    # `-l` asks no file system of another machine, so that only a local fault can make it hang.
    probe filesystems 10 df -l -B1 --output=source,fstype,size,avail,itotal,iavail,target -x tmpfs \
        -x devtmpfs -x overlay -x squashfs -x iso9660 -x erofs -x efivarfs
    probe containerd_root 10 grep -E '^ *root *=' /etc/containerd/config.toml

    if is_running docker.service; then
        probe docker_info 10 docker info --format '{{json .}}'
        probe docker_containers 10 docker ps -a --no-trunc --format \
            '{{.ID}}\t{{.Names}}\t{{.State}}\t{{.Image}}\t{{.Ports}}\t{{.Label "com.docker.compose.project"}}\t{{.Label "com.docker.compose.service"}}\t{{.Label "com.docker.compose.project.working_dir"}}\t{{.Label "com.docker.compose.oneoff"}}\t{{.Status}}\t{{.Mounts}}'
        probe docker_networks 10 docker network ls --no-trunc --format \
            '{{.Name}}\t{{.Driver}}\t{{.Label "com.docker.compose.project"}}\t{{.Label "com.docker.compose.network"}}'
        # Of a container only what is named here: its environment, command and labels hold secrets.
        # A list that fails is no empty list: a pipe would hide it.
        probe docker_inspect 15 sh -c 'ids=$(docker ps -aq --no-trunc) || exit
printf "%s\n" "$ids" | xargs -r docker container inspect --format "$1"' sh \
            '{"name":{{json .Name}},"image":{{json .Image}},"state":{{json .State.Status}},"health":{{if .State.Health}}{{json .State.Health.Status}}{{else}}""{{end}},"exit_code":{{json .State.ExitCode}},"oom_killed":{{json .State.OOMKilled}},"started":{{json .State.StartedAt}},"restarts":{{json .RestartCount}},"policy":{{json .HostConfig.RestartPolicy.Name}},"project":{{json (index .Config.Labels "com.docker.compose.project")}},"service":{{json (index .Config.Labels "com.docker.compose.service")}},"directory":{{json (index .Config.Labels "com.docker.compose.project.working_dir")}},"one_off":{{json (index .Config.Labels "com.docker.compose.oneoff")}},"declared":{{json .HostConfig.PortBindings}},"bound":{{json .NetworkSettings.Ports}}}'
        probe docker_images 15 docker image ls --no-trunc --filter 'reference=gpuhost/*/*' \
            --format '{{.Repository}}:{{.Tag}}\t{{.ID}}'
    fi

    if [ -d /opt/gpuhost ]; then
        apps 20
        probe app_units 10 systemctl show --no-pager -p Id -p ActiveState -p Result \
            'gpuhost-release-*.service' 'gpuhost-backup-*.service' 'gpuhost-backup-*.timer'
    fi

    wait
    # A socket that is gone again belonged to a client that asked something.
    probe listeners_again 10 ss -Hltnup
    wait
    tar -C "$work" -cf - . | gzip -1 | base64 -w 0
}
