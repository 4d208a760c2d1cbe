# Wait until no process holds a lock of apt or dpkg, then run COMMAND if there is one.
#   apt_idle.sh SECONDS [COMMAND...]
# Prints the process that holds a lock every few seconds; after SECONDS it fails with status 75.
# MAY_REMOVE in the environment: globs of the packages that COMMAND, an apt-get, may remove. If it would
# remove others, it is not run, and they are named; the same with the option --no-remove.
# shellcheck shell=sh
set -eu
limit=$1
shift

holder() {
    for path in /var/lib/dpkg/lock-frontend /var/lib/dpkg/lock /var/lib/apt/lists/lock \
        /var/cache/apt/archives/lock; do
        inode=$(stat -c %i "$path" 2>/dev/null) || continue
        # `2: POSIX ADVISORY WRITE 4711 fe:01:131 0 EOF`: the sixth word ends with the inode.
        # shellcheck disable=SC2013
        for pid in $(awk -v inode="$inode" \
            '$4 == "WRITE" && split($6, word, ":") == 3 && word[3] == inode { print $5 }' /proc/locks); do
            # Another file system may have a file with the same inode number.
            if [ -n "$(find "/proc/$pid/fd" -lname "$path" 2>/dev/null)" ]; then
                echo "$(cat "/proc/$pid/comm" 2>/dev/null) (pid $pid), which holds $path"
                return 0
            fi
        done
    done
    return 1
}

began=$(date +%s)
while owner=$(holder); do
    waited=$(($(date +%s) - began))
    if [ "$waited" -ge "$limit" ]; then
        echo "apt is busy: waited $waited s for $owner" >&2
        exit 75
    fi
    echo "waiting for $owner: $waited of $limit s"
    left=$((limit - waited))
    sleep $((left < 5 ? left : 5))
done
[ $# -gt 0 ] || exit 0

# The packages that the command would remove, although MAY_REMOVE does not name them.
removals() {
    set -f
    "$@" -s -o APT::Get::Remove=true </dev/null 2>/dev/null | awk '$1 ~ /^(Remv|Purg)$/ { print $2 }' \
        | while read -r package; do
            for glob in ${MAY_REMOVE-}; do
                # shellcheck disable=SC2254
                case $package in $glob) continue 2 ;; esac
            done
            printf ' %s' "$package"
        done
}

explain_removals() {
    gone=$(removals "$@")
    [ "$gone" ] || return 1
    echo "not installed or removed: apt would also remove$gone; if nothing needs that," \
        "apt-get remove$gone, then run the deploy again" >&2
}

if [ "${MAY_REMOVE-}" ]; then
    ! explain_removals "$@" || exit 1
else
    case " $* " in *' --no-remove '*)
        status=0
        "$@" </dev/null || status=$?
        [ "$status" = 0 ] || explain_removals "$@" || true
        exit "$status"
        ;;
    esac
fi
exec "$@" </dev/null
