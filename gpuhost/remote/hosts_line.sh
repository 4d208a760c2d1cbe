# Add LINE to /etc/hosts; every other byte stays. In a container the file can be written, but not
# replaced by a rename.
#   hosts_line.sh LINE
# shellcheck shell=sh
set -eu
if [ -n "$(tail -c 1 /etc/hosts)" ]; then
    printf '\n%s\n' "$1" >>/etc/hosts
else
    printf '%s\n' "$1" >>/etc/hosts
fi
