#!/bin/sh
# Turns a fresh root file system into a blank cloud server: users, sudo, apt sources as the release
# ships them, and nothing that must differ between hosts.
#   blank.sh ROOT RELEASE
set -eu
root=$1
release=$2

for user in ops locked; do
    chroot "$root" useradd --create-home --shell /bin/bash "$user"
done
printf 'locked:locked\n' | chroot "$root" chpasswd
umask 077
echo 'ops ALL=(ALL:ALL) NOPASSWD: ALL' >"$root/etc/sudoers.d/90-cloud-init-users"
echo 'locked ALL=(ALL:ALL) ALL' >"$root/etc/sudoers.d/91-locked"
chmod 440 "$root"/etc/sudoers.d/9*
umask 022

rm -f "$root"/etc/ssh/ssh_host_*
: >"$root/etc/machine-id"

# Debian 13 is installed with deb822 sources, Debian 12 with the one-line format.
if [ "$release" = trixie ]; then
    main=$(awk '$3 == "trixie" { print $2; exit }' "$root/etc/apt/sources.list")
    security=$(awk '$3 == "trixie-security" { print $2; exit }' "$root/etc/apt/sources.list")
    rm "$root/etc/apt/sources.list"
    cat >"$root/etc/apt/sources.list.d/debian.sources" <<SOURCES
Types: deb
URIs: $main
Suites: trixie trixie-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: $security
Suites: trixie-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
SOURCES
fi
