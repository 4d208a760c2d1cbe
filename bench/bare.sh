# From a blank Debian 13 with a card to a GPU container host, as a minimal script: the packages, files and
# commands of deploys/gpu_host.py, but it reads nothing before, verifies nothing after, reverts nothing on
# failure, and records nothing for the next run.
#   bare.sh DOCKER_REPOSITORY TOOLKIT_REPOSITORY in-turn    the same calls of apt-get as the deploy
#   bare.sh DOCKER_REPOSITORY TOOLKIT_REPOSITORY at-once    one call for everything, which is fastest
# shellcheck shell=sh
set -eu
docker=$1 toolkit=$2 order=$3
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
install() { apt-get -q -y --no-install-recommends install "$@"; }
# shellcheck disable=SC1091
. /etc/os-release

# The repositories, their keys, and the packages.
mkdir -p /etc/apt/keyrings
repository() {
    curl -fsS "$2" >"/etc/apt/keyrings/$1.asc"
    { cat; echo "Signed-By: /etc/apt/keyrings/$1.asc"; } >"/etc/apt/sources.list.d/$1.sources"
    [ "$order" = at-once ] || apt-get -q -y update
}
packages() {
    names="${names:-} $*"
    # shellcheck disable=SC2086
    [ "$order" = at-once ] || { install $names && names=; }
}
repository docker "$docker/linux/debian/gpg" <<END
Types: deb
URIs: $docker/linux/debian
Suites: $VERSION_CODENAME
Components: stable
END
packages docker-ce docker-ce-cli containerd.io docker-buildx-plugin docker-compose-plugin
repository nvidia-container-toolkit "$toolkit/gpgkey" <<END
Types: deb
URIs: $toolkit/stable/deb/$(dpkg --print-architecture)
Suites: /
END
packages nvidia-container-toolkit nvidia-container-toolkit-base libnvidia-container-tools libnvidia-container1
packages ufw
packages unattended-upgrades
# shellcheck disable=SC2086
[ "$order" = in-turn ] || { apt-get -q -y update && install $names; }
apt-mark hold nvidia-container-toolkit nvidia-container-toolkit-base libnvidia-container-tools libnvidia-container1

# The host's name, security updates, the driver kept loaded.
getent hosts "$(uname -n)" >/dev/null || echo "127.0.1.1 $(uname -n)" >>/etc/hosts
cat >/etc/apt/apt.conf.d/60updates <<'END'
APT::Periodic::Update-Package-Lists "1";
APT::Periodic::Unattended-Upgrade "1";
Unattended-Upgrade::Package-Blacklist { "nvidia-"; "libnvidia-"; "docker-"; "containerd"; };
END
systemctl enable --now apt-daily.timer apt-daily-upgrade.timer
cat >/etc/systemd/system/persistence.service <<'END'
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/nvidia-smi -pm 1
[Install]
WantedBy=multi-user.target
END
systemctl daemon-reload
systemctl enable --now persistence.service

# The engine, and a GPU in a container.
mkdir -p /etc/docker
cat >/etc/docker/daemon.json <<'END'
{
    "log-driver": "json-file", "log-opts": {"max-size": "10m", "max-file": "3"}, "live-restore": true,
    "runtimes": {"nvidia": {"args": [], "path": "nvidia-container-runtime"}}
}
END
dockerd --validate --config-file=/etc/docker/daemon.json
systemctl enable docker.service
systemctl restart docker.service
docker info >/dev/null
mkdir -p /var/run/cdi
nvidia-ctk cdi generate --output=/var/run/cdi/nvidia.yaml
root=$(mktemp -d)
mkdir -p "$root/etc" "$root/tmp" "$root/var" "$root/usr/bin" "$root/usr/sbin" "$root/usr/lib" "$root/usr/lib64"
for folder in bin sbin lib lib64; do ln -s "usr/$folder" "$root/$folder"; done
dpkg -L "libc6:$(dpkg --print-architecture)" | grep -E '/(ld-linux[^/]*|lib(c|m|dl|pthread|rt)\.so\.[0-9]+)$' \
    | while read -r file; do mkdir -p "$root${file%/*}" && cp -L "$file" "$root$file"; done
cp -RL /etc/debian_version /etc/ld.so.conf /etc/ld.so.conf.d "$root/etc/"
ldconfig -r "$root"
tar -C "$root" -cf - . | docker import -c 'ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility' - gpu-test
docker run --rm --network none --pull never --gpus all --entrypoint nvidia-smi gpu-test -L

# The firewall, for containers' ports too.
ufw default deny incoming
ufw allow proto tcp from any to any port 22
ufw allow in on docker+ from any to any
ufw allow in on br-+ from any to any
ufw --force enable
for tables in iptables-restore ip6tables-restore; do
    $tables --noflush <<'END'
*filter
:PUBLISHED - [0:0]
-A PUBLISHED -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN
-A PUBLISHED -i docker+ -j RETURN
-A PUBLISHED -i br-+ -j RETURN
-A PUBLISHED -m conntrack --ctstate DNAT -j DROP
-A PUBLISHED -o docker+ -j DROP
COMMIT
END
done
iptables -I FORWARD -j PUBLISHED
ip6tables -I FORWARD -j PUBLISHED
