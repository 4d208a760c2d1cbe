# Install all PACKAGEs at one version: VERSION; if that is empty, apt's candidate if all packages have
# it, else the newest version that all have. Packages at a newer version are downgraded.
#   toolkit_packages.sh SECONDS VERSION PACKAGE...
# SECONDS: how long to wait for another apt process.
# shellcheck shell=sh
set -eu
lock_timeout=$1 release=$2
shift 2

all=$(apt-cache madison "$@" | awk -F ' *[|] *' '{ print $1, $2 }' | sort -u \
    | awk '{ print $2 }' | sort -V | uniq -c | awk -v count=$# '$1 == count { print $2 }')
if [ -n "$release" ]; then
    version=$(echo "$all" | awk -v release="$release-" 'index($0, release) == 1' | tail -n 1)
else
    candidate=$(apt-cache policy "$1" | awk '$1 == "Candidate:" { print $2 }')
    version=$(echo "$all" | awk -v candidate="$candidate" '$0 == candidate')
    [ -n "$version" ] || version=$(echo "$all" | tail -n 1)
fi
if [ -z "$version" ]; then
    # shellcheck disable=SC2086
    echo "no repository has $* at one version${release:+ $release}; versions that all have:" ${all:-none} >&2
    exit 1
fi

# Nothing is removed but the hook's older packages, in whose place nvidia-container-toolkit is.
no_remove=--no-remove
for old in nvidia-container-runtime nvidia-container-runtime-hook; do
    if dpkg -s "$old" >/dev/null 2>&1; then no_remove=; fi
done
# --allow-change-held-packages: the hold protects exactly the version that is installed here.
for package in "$@"; do
    set -- "$@" "$package=$version"
    shift
done
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
# shellcheck disable=SC2086
apt-get -q -y -o DPkg::Lock::Timeout="$lock_timeout" -o Dpkg::Options::=--force-confold \
    -o Dpkg::Options::=--force-confdef --no-install-recommends $no_remove \
    --allow-downgrades --allow-change-held-packages install "$@"
