#!/bin/sh
# The first process of a lab host: takes away what an engine gives a container and a server does
# not have, puts the simulated card in place, then becomes systemd. Runs at every boot.

# Files of the engine become files of the host, which can be renamed over; on a disk that booted
# before, the host's own edits stay.
for name in hostname hosts resolv.conf; do
    given=$(cat "/etc/$name")
    umount "/etc/$name"
    if [ -e /lab/new ]; then
        printf '%s\n' "$given" >"/etc/$name"
    fi
done
if [ -e /lab/new ]; then
    cat /lab/resolv.conf >/etc/resolv.conf
    # A copied disk may have another card in it.
    if [ -e /lab/card/nvidia-smi ]; then
        rm -f /usr/bin/nvidia-smi /usr/lib/*-linux-gnu/libcuda.so.1
    fi
    rm -rf /lab/card
    if [ -d /lab/next ]; then
        mv /lab/next /lab/card
    fi
    if [ -e /lab/card/nvidia-smi ]; then
        cp /lab/card/nvidia-smi /usr/bin/nvidia-smi
        cp /lab/card/libcuda.so.1 "/usr/lib/$(uname -m)-linux-gnu/"
    fi
    rm /lab/new
fi

# The engine's DNS redirection: a booted server has no rules.
nft flush ruleset
if [ -s /proc/net/ip_tables_names ]; then
    iptables-legacy -t nat -F
    iptables-legacy -t nat -X
fi

# What the card is at this boot: as it was made, or driven by what has been installed since.
if [ -d /lab/card ]; then
    rm -rf /lab/card/proc /lab/card/pci /lab/card/smi
    cp -a /lab/card/now/. /lab/card
    if [ -d /lab/card/driven ] && read -r flavour driver cuda </usr/share/nvidia/modules; then
        if grep -qw "$flavour" /lab/card/driven/modules; then
            rm -r /lab/card/pci /lab/card/smi
            cp -a /lab/card/driven/. /lab/card
            recorded=$(cat /lab/card/smi/driver)
            find /lab/card/proc /lab/card/smi -type f -exec sed -i \
                -e "s/$recorded/$driver/g" -e "s/CUDA Version: [0-9.]*/CUDA Version: $cuda/" {} +
            echo "$cuda" >/lab/card/smi/cuda
        else
            printf '6\nNo devices were found\n' >/lab/card/smi/failure
        fi
    fi 2>/dev/null
fi
if [ -d /lab/card/proc ]; then
    mount --bind /lab/card/proc /proc/driver
fi
if [ -d /lab/card/pci ]; then
    mount --bind /lab/card/pci /sys/bus/pci/devices
fi
if [ -d /lab/card/proc/nvidia/gpus ]; then
    minor=0
    for _ in /lab/card/proc/nvidia/gpus/*; do
        mknod -m 666 "/dev/nvidia$minor" c 195 "$minor"
        minor=$((minor + 1))
    done
    mknod -m 666 /dev/nvidiactl c 195 255
fi

exec /sbin/init
