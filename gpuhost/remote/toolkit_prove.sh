# Use every GPU in a container, with nvidia-smi and with CUDA, and write the result to RECORD, as JSON.
#   toolkit_prove.sh RECORD DRIVER TOOLKIT ENGINE IMAGE CONFIG SETTINGS OWN
# DRIVER TOOLKIT ENGINE IMAGE CONFIG SETTINGS: recorded with the result. OWN: yes builds IMAGE from
# this host's C library, because registries may be unreachable.
# shellcheck shell=sh
set -u
@own_engine.sh@
record=$1 driver=$2 toolkit=$3 engine=$4 image=$5 config=$6 settings=$7 own=$8
limit=120
container=gpuhost-gpu-test
tools=

c_library() {
    dpkg -L "libc6:$(dpkg --print-architecture)" | grep -E '/(ld-linux[^/]*|lib(c|m|dl|pthread|rt)\.so\.[0-9]+)$'
}

# The image has only the C library, with which nvidia-smi and the driver's libraries are linked; the
# toolkit mounts those.
make_image() {
    root=$(mktemp -d) || return
    mkdir -p "$root/etc" "$root/tmp" "$root/var" "$root/usr/bin" "$root/usr/sbin" "$root/usr/lib" \
        "$root/usr/lib64" || return
    for folder in bin sbin lib lib64; do ln -s "usr/$folder" "$root/$folder"; done
    c_library | while read -r file; do
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

# run_in_container OPTIONS...: the output of a new container with every GPU, and its status.
run_in_container() {
    timeout -k 5 "$limit" docker run --rm --name "$container" --network none --pull never \
        --gpus all "$@"
    set -- $?
    # --rm has removed it, unless it was still running.
    case $1 in 124 | 137) remove_container ;; esac
    return "$1"
}

# The host's python3 with the libraries that it needs, for any image: its own dynamic linker starts
# it, and finds libcuda.so.1 where the container has it. Not in /tmp or /run: they may be noexec.
make_tools() {
    tools=$(mktemp -d "${record%/*}/gpu-test.XXXXXX") || return
    modules=$(timeout 20 /usr/bin/python3 -I -S -c 'import ctypes, os; print(os.path.dirname(os.__file__))') || return
    version=${modules##*/}
    mkdir -p "$tools/bin" "$tools/lib/$version" && chmod 755 "$tools" || return
    cat >"$tools/cuda_call.py" <<'END_OF_PROGRAM' || return
@cuda_call.py@
END_OF_PROGRAM
    cp -L /usr/bin/python3 "$tools/bin/python3" || return
    ldd /usr/bin/python3 "$modules"/lib-dynload/_ctypes.*.so 2>/dev/null | awk '$2 == "=>" { print $3 }' \
        | sort -u | { cat && c_library; } | while read -r file; do
        cp -L "$file" "$tools/lib/" || exit
    done || return
    mv "$tools"/lib/ld-linux* "$tools/lib/ld.so"
}

# answer_of STATUS: what the program printed, or how it ended if it printed nothing.
answer_of() {
    case $1 in
        124 | 137) echo "CUDA did not start within $limit seconds" ;;
        0) cat "$tools/answer" ;;
        *) echo "exit status $1: $(cat "$tools/errors" "$tools/answer" | tail -n 3)" ;;
    esac
}

call_cuda_on_host() {
    env -u CUDA_VISIBLE_DEVICES timeout -k 5 "$limit" \
        /usr/bin/python3 -I -S -B "$tools/cuda_call.py" >"$tools/answer" 2>"$tools/errors"
    answer_of $?
}

call_cuda_in_container() {
    run_in_container -v "$tools:/gpuhost:ro" -v "$modules:/gpuhost/lib/$version:ro" \
        --entrypoint /gpuhost/lib/ld.so "$image" --library-path /gpuhost/lib \
        /gpuhost/bin/python3 -I -S -B /gpuhost/cuda_call.py >"$tools/answer" 2>"$tools/errors"
    answer_of $?
}

# As a JSON string, with at most this many characters.
quote() { tr -s '[:cntrl:]' ' ' | cut -c "1-$1" | sed 's/ $//; s/[\\"]/\\&/g'; }

umask 022
mkdir -p "${record%/*}"
trap 'rm -rf "$tools"' EXIT
gpus=0 host='python3 with ctypes cannot be used on this host' inside=
if make_tools; then host=$(call_cuda_on_host); else modules=; fi
remove_container
if output=$(have_image 2>&1); then
    output=$(run_in_container --entrypoint nvidia-smi "$image" -L 2>&1)
    status=$?
    gpus=$(echo "$output" | grep -c '^GPU [0-9]')
    case $status in
        # 14: a card's infoROM is corrupt, which is a warning.
        0 | 14) [ "$gpus" = 0 ] || output= ;;
        124 | 137) output="nvidia-smi did not end within $limit seconds in a container" ;;
    esac
    if [ "$modules" ] && [ ! "$output" ]; then inside=$(call_cuda_in_container); fi
fi

failure=$(echo "$output" | quote 1500)
printf '{"driver": "%s", "toolkit": "%s", "engine": "%s", "image": "%s", "config": "%s", "settings": "%s", "gpus": %d, "time": %d, "failure": "%s", "cuda_host": "%s", "cuda_container": "%s"}\n' \
    "$driver" "$toolkit" "$engine" "$image" "$config" "$settings" "$gpus" "$(date +%s)" "$failure" \
    "$(echo "$host" | quote 4000)" "$(echo "$inside" | quote 4000)" >"$record.gpuhost-new"
mv -f "$record.gpuhost-new" "$record"
for answer in "$output" "$host" "$inside"; do
    case $answer in
        '' | *'"names": ["'*) ;;
        *) echo "$answer" >&2 && exit 1 ;;
    esac
done
