# Make the swap file PATH with BYTES, or take it away with BYTES 0. FSTYPE decides how.
# The old file goes first: only one of them may have room. What is no swap file is never touched.
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

[ "$(readlink -m "$path")" = "$path" ] || fail "$path is a link to $(readlink -m "$path"): name that"
if [ -e "$path" ] && ! is_active && ! is_swap; then fail "$path is there and is no swap file"; fi

rm -f "$new"
# What is swapped out has to be read back first.
if is_active; then timeout 1800 swapoff "$path" || fail "swapoff $path did not succeed"; fi
rm -f "$path"
[ "$bytes" -gt 0 ] || exit 0

mkdir -p "$(dirname "$path")"
: >"$new"
# btrfs swaps only on files without copy-on-write, and the flag only takes on an empty file.
if [ "$fstype" = btrfs ]; then chattr +C "$new"; fi
fallocate -l "$bytes" "$new" 2>/dev/null \
    || dd if=/dev/zero of="$new" bs=1M count=$((bytes / 1048576)) status=none
timeout 300 mkswap "$new" >/dev/null
mv "$new" "$path"
# swapon refuses a file with holes, which some file systems make of fallocate: then write every block.
timeout 60 swapon "$path" 2>/dev/null || is_active || {
    dd if=/dev/zero of="$path" bs=1M count=$((bytes / 1048576)) conv=notrunc status=none
    timeout 300 mkswap "$path" >/dev/null
    timeout 60 swapon "$path"
}
