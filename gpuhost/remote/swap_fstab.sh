# Have LINE in /etc/fstab for the swap file PATH, or without LINE no line for it. Every other byte
# stays as it is, whatever its encoding; the file is renamed into place.
#   swap_fstab.sh PATH [LINE]
# shellcheck shell=sh
set -eu
file=/etc/fstab
new=$file.gpuhost-new
[ -e "$file" ] || : >"$file"
cp -p "$file" "$new"
SWAP_PATH=$1 LC_ALL=C awk '$1 != ENVIRON["SWAP_PATH"]' "$file" >"$new"
if [ $# -gt 1 ]; then printf '%s\n' "$2" >>"$new"; fi
mv "$new" "$file"
