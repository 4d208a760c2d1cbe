# Wait until no process holds a lock of apt or dpkg.
#   apt_idle.sh SECONDS
# Prints the process that holds a lock every few seconds; after SECONDS it fails with status 75.
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
