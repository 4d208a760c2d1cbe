# Create the swap file PATH with BYTES bytes; BYTES 0 removes it.
#   swap_file.sh PATH BYTES FSTYPE
# The old file is removed first: the disk may have room for only one. Another kind of file at PATH is
# never changed.
# shellcheck shell=sh
set -eu
path=$1 bytes=$2 fstype=$3
new=$path.gpuhost-new
umask 077

fail() {
    echo "swap: $*; nothing was changed" >&2
    exit 1
}

is_active() { awk -v path="$path" '$1 == path { found = 1 } END { exit !found }' /proc/swaps; }

is_swap() { [ "$(timeout 20 blkid -p -o value -s TYPE "$path")" = swap ]; }

[ "$(readlink -m "$path")" = "$path" ] || fail "$path is a link: set swap_path to $(readlink -m "$path")"
if [ -e "$path" ] && ! is_active && ! is_swap; then fail "$path exists, and is not a swap file"; fi

rm -f "$new"
# swapoff reads everything back into RAM first.
if is_active; then timeout 1800 swapoff "$path" || fail "swapoff $path failed"; fi
rm -f "$path"
[ "$bytes" -gt 0 ] || exit 0

mkdir -p "$(dirname "$path")"
: >"$new"
# btrfs swaps only to files without copy-on-write; the flag can only be set on an empty file.
if [ "$fstype" = btrfs ]; then chattr +C "$new"; fi
fallocate -l "$bytes" "$new" 2>/dev/null \
    || dd if=/dev/zero of="$new" bs=1M count=$((bytes / 1048576)) status=none
timeout 300 mkswap "$new" >/dev/null
mv "$new" "$path"
# On some file systems fallocate makes a file with holes, which swapon refuses: then write every block.
timeout 60 swapon "$path" 2>/dev/null || is_active || {
    dd if=/dev/zero of="$path" bs=1M count=$((bytes / 1048576)) conv=notrunc status=none
    timeout 300 mkswap "$path" >/dev/null
    timeout 60 swapon "$path"
}
