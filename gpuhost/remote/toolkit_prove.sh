# Run nvidia-smi in a container with every GPU, and keep what came of it in RECORD, as JSON.
# RECORD DRIVER TOOLKIT ENGINE IMAGE: kept with the result. OWN: yes makes IMAGE from this host's C
# library, as registries may be out of reach. RESTART: yes restarts the engine first.
# shellcheck shell=sh
set -u
record=$1 driver=$2 toolkit=$3 engine=$4 image=$5 own=$6 restart=$7
limit=120
container=gpuhost-gpu-test

# nvidia-smi and the driver's libraries are linked with these, and come from the toolkit.
make_image() {
    root=$(mktemp -d) || return
    mkdir -p "$root/etc" "$root/tmp" "$root/var" "$root/usr/bin" "$root/usr/sbin" "$root/usr/lib" \
        "$root/usr/lib64" || return
    for folder in bin sbin lib lib64; do ln -s "usr/$folder" "$root/$folder"; done
    dpkg -L "libc6:$(dpkg --print-architecture)" | grep -E '/(ld-linux[^/]*|lib(c|m|dl|pthread|rt)\.so\.[0-9]+)$' | while read -r file; do
        mkdir -p "$root${file%/*}" && cp -L "$file" "$root$file" || exit
    done || return
    # By debian_version the toolkit knows where libraries belong; the cache is what it brings up to date.
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
    # Those made of earlier C libraries.
    timeout 20 docker image ls --format '{{.Repository}}:{{.Tag}}' "${image%:*}" | grep -vxF "$image" \
        | xargs -r timeout 60 docker image rm -f || true
}

remove_container() { timeout 20 docker rm -f "$container" >/dev/null 2>&1; }

# dockerd looks for the toolkit's hook when it starts, and then never again.
if [ "$restart" = yes ]; then
    timeout 20 systemctl reset-failed docker.service 2>/dev/null
    timeout 120 systemctl restart docker.service || exit
fi

gpus=0
if said=$(have_image 2>&1); then
    remove_container
    said=$(timeout -k 5 "$limit" docker run --rm --name "$container" --network none --pull never \
        --gpus all --entrypoint nvidia-smi "$image" -L 2>&1)
    status=$?
    remove_container
    gpus=$(echo "$said" | grep -c '^GPU [0-9]')
    case $status in
        # 14: a card's infoROM is corrupt, which is a warning.
        0 | 14) [ "$gpus" = 0 ] || said= ;;
        124 | 137) said="nvidia-smi did not end within $limit seconds in a container" ;;
    esac
fi

quoted=$(echo "$said" | tr -s '[:cntrl:]' ' ' | cut -c 1-1500 | sed 's/ $//; s/[\\"]/\\&/g')
umask 022
mkdir -p "${record%/*}"
printf '{"driver": "%s", "toolkit": "%s", "engine": "%s", "image": "%s", "gpus": %d, "time": %d, "failure": "%s"}\n' \
    "$driver" "$toolkit" "$engine" "$image" "$gpus" "$(date +%s)" "$quoted" >"$record.gpuhost-new"
mv -f "$record.gpuhost-new" "$record"
[ -z "$said" ] || {
    echo "$said" >&2
    exit 1
}
