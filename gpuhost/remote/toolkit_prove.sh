# Run nvidia-smi in a container with every GPU, and write the result to RECORD, as JSON.
#   toolkit_prove.sh RECORD DRIVER TOOLKIT ENGINE IMAGE OWN RESTART
# DRIVER TOOLKIT ENGINE IMAGE: recorded with the result. OWN: yes builds IMAGE from this host's C
# library, because registries may be unreachable. RESTART: yes restarts the engine first.
# shellcheck shell=sh
set -u
record=$1 driver=$2 toolkit=$3 engine=$4 image=$5 own=$6 restart=$7
limit=120
container=gpuhost-gpu-test

# The image has only the C library, with which nvidia-smi and the driver's libraries are linked; the
# toolkit mounts those.
make_image() {
    root=$(mktemp -d) || return
    mkdir -p "$root/etc" "$root/tmp" "$root/var" "$root/usr/bin" "$root/usr/sbin" "$root/usr/lib" \
        "$root/usr/lib64" || return
    for folder in bin sbin lib lib64; do ln -s "usr/$folder" "$root/$folder"; done
    dpkg -L "libc6:$(dpkg --print-architecture)" | grep -E '/(ld-linux[^/]*|lib(c|m|dl|pthread|rt)\.so\.[0-9]+)$' | while read -r file; do
        mkdir -p "$root${file%/*}" && cp -L "$file" "$root$file" || exit
    done || return
    # debian_version tells the toolkit where libraries belong; it updates the cache of ldconfig.
    cp -RL /etc/debian_version /etc/ld.so.conf /etc/ld.so.conf.d "$root/etc/" || return
    timeout 60 ldconfig -r "$root" || return
    timeout 60 tar -C "$root" -cf - . \
        | timeout 60 docker import -c 'ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility' - "$image"
}

have_image() {
    if timeout 20 docker image inspect "$image" >/dev/null 2>&1; then return; fi
    if [ "$own" = no ]; then
        timeout 1500 docker pull -q "$image" || { echo "$image could not be pulled" && return 1; }
        return
    fi
    make_image || { rm -rf "$root" && return 1; }
    rm -rf "$root"
    # Remove images that were built from earlier C libraries.
    timeout 20 docker image ls --format '{{.Repository}}:{{.Tag}}' "${image%:*}" | grep -vxF "$image" \
        | xargs -r timeout 60 docker image rm -f || true
}

remove_container() { timeout 20 docker rm -f "$container" >/dev/null 2>&1; }

# dockerd looks for the toolkit's hook only when it starts.
if [ "$restart" = yes ]; then
    timeout 20 systemctl reset-failed docker.service 2>/dev/null
    timeout 120 systemctl restart docker.service || exit
fi

gpus=0
if output=$(have_image 2>&1); then
    remove_container
    output=$(timeout -k 5 "$limit" docker run --rm --name "$container" --network none --pull never \
        --gpus all --entrypoint nvidia-smi "$image" -L 2>&1)
    status=$?
    remove_container
    gpus=$(echo "$output" | grep -c '^GPU [0-9]')
    case $status in
        # 14: a card's infoROM is corrupt, which is a warning.
        0 | 14) [ "$gpus" = 0 ] || output= ;;
        124 | 137) output="nvidia-smi did not end within $limit seconds in a container" ;;
    esac
fi

quoted=$(echo "$output" | tr -s '[:cntrl:]' ' ' | cut -c 1-1500 | sed 's/ $//; s/[\\"]/\\&/g')
umask 022
mkdir -p "${record%/*}"
printf '{"driver": "%s", "toolkit": "%s", "engine": "%s", "image": "%s", "gpus": %d, "time": %d, "failure": "%s"}\n' \
    "$driver" "$toolkit" "$engine" "$image" "$gpus" "$(date +%s)" "$quoted" >"$record.gpuhost-new"
mv -f "$record.gpuhost-new" "$record"
[ -z "$output" ] || {
    echo "$output" >&2
    exit 1
}
