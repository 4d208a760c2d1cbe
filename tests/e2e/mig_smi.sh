#!/bin/sh
# Stand-in of nvidia-smi on a lab host whose card has MIG, in the words of NVIDIA's MIG User Guide.
# The mode is kept over a reboot, as by Ampere; instances are not. Other calls go to the recorded one.
set -u
real=/usr/bin/nvidia-smi
mode=/var/lib/mig-mode instances=/lab/card/proc/nvidia/mig
capabilities=/lab/card/proc/nvidia/capabilities/gpu0/mig

is_on() { [ -e "$mode" ]; }

case " $* " in
    *" -L "*)
        "$real" -L
        [ -e "$instances" ] || exit 0
        number=0
        while read -r profile; do
            printf '  MIG %-11s Device %2d: (UUID: MIG-00000000-0000-0000-0000-00000000000%d)\n' \
                "$profile" "$number" "$number"
            number=$((number + 1))
        done <"$instances"
        ;;
    *" -mig 1 "*) : >"$mode" && echo 'Enabled MIG Mode for GPU 00000000:13:00.0' && echo 'All done.' ;;
    *" -mig 0 "*) rm -f "$mode" && echo 'Disabled MIG Mode for GPU 00000000:13:00.0' && echo 'All done.' ;;
    *" -dci "* | *" -dgi "*)
        [ -e "$instances" ] || { echo 'No GPU instances found: Not Found' && exit 6; }
        case " $* " in *" -dgi "*) rm -rf "$instances" "$capabilities" ;; esac
        echo 'Successfully destroyed GPU instance ID  1 from GPU  0'
        ;;
    *" -cgi "*)
        is_on || { echo 'No MIG-enabled devices found.' && exit 6; }
        number=0
        for profile in $(echo "$5" | tr , ' '); do
            number=$((number + 1))
            mkdir -p "$capabilities/gi$number/ci0"
            echo 'DeviceFileMinor: 3' >"$capabilities/gi$number/ci0/access"
            echo "$profile" >>"$instances"
            echo "Successfully created GPU instance ID  $number on GPU  0 using profile MIG $profile"
        done
        ;;
    *--query-compute-apps*) [ ! -e /run/mig-used ] || echo 4711 ;;
    *--query-gpu*)
        if is_on; then "$real" "$@" | sed 's/Disabled/Enabled/'; else "$real" "$@"; fi
        ;;
    *) exec "$real" "$@" ;;
esac
