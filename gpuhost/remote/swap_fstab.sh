# Set LINE as the line of the swap file PATH in /etc/fstab; without LINE, remove its line. All other
# lines stay, byte for byte, in any encoding. The file is replaced by a rename.
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
