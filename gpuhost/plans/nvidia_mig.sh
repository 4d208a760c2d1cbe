#!/bin/sh
# Written by gpuhost. Gives cards the MIG layout that is declared: run by the deploy, and at every
# boot, because the driver forgets instances, and since Hopper the mode too.
#   nvidia-mig apply UUID=PROFILE,PROFILE...   UUID=   (no profile: MIG off)
#   nvidia-mig boot                            the lines of nvidia-mig.conf
# A card that programs use is left as it is. Exit status: 0 done, 3 in use, 4 a reboot is needed,
# 5 nvidia-smi refused.
set -u
LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH
conf=/usr/local/lib/gpuhost/nvidia-mig.conf
worst=0

smi() { timeout -k 5 60 nvidia-smi "$@"; }

fail() {
    printf '%s: %s\n' "$2" "$3" >&2
    [ "$1" -le "$worst" ] || worst=$1
}

mode() { smi -i "$1" --query-gpu=mig.mode.current --format=csv,noheader; }

# Profiles of the card's devices, sorted, joined by commas. -L lists all cards.
layout() {
    smi -L | awk -v card="$1" '
        /^GPU / { here = index($0, card) > 0 }
        here && /^ +MIG / { print $2 }' | sort | paste -s -d , -
}

sorted() { printf '%s\n' "$1" | tr , '\n' | sed '/^$/d' | sort | paste -s -d , -; }

in_use() { smi -i "$1" --query-compute-apps=pid --format=csv,noheader | grep -E '^[0-9]' | paste -s -d ' ' -; }

# mig -dci and -dgi end with 6 where there is nothing to destroy.
clear_card() {
    for what in -dci -dgi; do
        out=$(smi mig "$what" -i "$1" 2>&1) || [ $? -eq 6 ] || {
            fail 3 "$1" "nvidia-smi mig $what: $out"
            return 1
        }
    done
}

set_mode() {
    out=$(smi -i "$1" -mig "$2" 2>&1) || {
        fail 5 "$1" "nvidia-smi -mig $2: $out"
        return 1
    }
    wanted=Disabled
    [ "$2" = 0 ] || wanted=Enabled
    [ "$(mode "$1")" = "$wanted" ] && return 0
    fail 4 "$1" "MIG mode $wanted is pending, reboot: $out"
    return 1
}

card() {
    uuid=${1%%=*} profiles=${1#*=}
    now=$(mode "$uuid") || now=unknown
    case $now in
        Enabled | Disabled) ;;
        *) fail 5 "$uuid" "MIG mode: $now" && return ;;
    esac
    if [ "$(layout "$uuid")" = "$(sorted "$profiles")" ]; then
        if [ "$profiles" ] && [ "$now" = Enabled ]; then return; fi
        if [ ! "$profiles" ] && [ "$now" = Disabled ]; then return; fi
    fi
    pids=$(in_use "$uuid")
    if [ "$pids" ]; then
        fail 3 "$uuid" "in use by processes $pids"
        return
    fi
    changed=yes
    if [ "$now" = Enabled ]; then clear_card "$uuid" || return; fi
    if [ ! "$profiles" ]; then
        set_mode "$uuid" 0
        return
    fi
    if [ "$now" = Disabled ]; then set_mode "$uuid" 1 || return; fi
    out=$(smi mig -i "$uuid" -cgi "$profiles" -C 2>&1) || {
        fail 5 "$uuid" "nvidia-smi mig -cgi $profiles: $out"
        clear_card "$uuid"
        return
    }
}

# Containers get devices by the CDI specification, which names them.
refresh_cdi() {
    if timeout 20 systemctl cat nvidia-cdi-refresh.service >/dev/null 2>&1; then
        timeout 120 systemctl restart --no-block nvidia-cdi-refresh.service
    elif [ -e /etc/cdi/nvidia.yaml ] && command -v nvidia-ctk >/dev/null; then
        timeout 120 nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml >/dev/null 2>&1
    fi
}

action=$1
shift
if [ "$action" = boot ]; then
    # shellcheck disable=SC2046
    [ ! -e "$conf" ] || set -- $(cat "$conf")
fi
changed=
for wanted in "$@"; do card "$wanted"; done
[ ! "$changed" ] || refresh_cdi
exit "$worst"
