#!/bin/sh
# Turns a blank server's root file system into the disk of the virtual machine: what its firmware
# and its network card need, and the keys by which it is known.
#   vm.sh ROOT HOSTNAME HOST_KEY LOGIN_KEY    the keys are private keys, their .pub lies beside
set -eu
root=$1
name=$2
host_key=$3
login_key=$4

echo "$name" >"$root/etc/hostname"
printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$name" >"$root/etc/hosts"
echo '/dev/vda / ext4 errors=remount-ro 0 1' >"$root/etc/fstab"

# QEMU's user network: the machine is 10.0.2.15, this one 10.0.2.2, its name server 10.0.2.3.
cat >"$root/etc/systemd/network/user.network" <<NETWORK
[Match]
Name=en*

[Network]
Address=10.0.2.15/24
Gateway=10.0.2.2
IPv6AcceptRA=no
NETWORK
echo 'nameserver 10.0.2.3' >"$root/etc/resolv.conf"
chroot "$root" systemctl enable systemd-networkd.service

# Its clock falls behind, and the archive's lists may be from its future.
echo 'Acquire::Max-FutureTime "86400";' >"$root/etc/apt/apt.conf.d/99lab"

install -m 600 "$host_key" "$root/etc/ssh/ssh_host_ed25519_key"
install -m 644 "$host_key.pub" "$root/etc/ssh/ssh_host_ed25519_key.pub"
for user in root ops locked; do
    home=$(chroot "$root" getent passwd "$user" | cut -d: -f6)
    install -d -m 700 "$root$home/.ssh"
    install -m 600 "$login_key.pub" "$root$home/.ssh/authorized_keys"
    chroot "$root" chown -R "$user:" "$home/.ssh"
done

# Emulated, a second of reading modules is ten: only those that find the disk.
echo 'MODULES=list' >"$root/etc/initramfs-tools/conf.d/lab"
printf 'virtio_pci\nvirtio_blk\next4\n' >>"$root/etc/initramfs-tools/modules"
chroot "$root" update-initramfs -u -k all
rm -f "$root"/var/cache/apt/*.bin
