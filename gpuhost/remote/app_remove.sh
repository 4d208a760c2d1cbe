# Remove an app with the runner on stdin (base64): the runner on the host may be older.
#
#   APP_HOME BY SECONDS
set -u
home=$1 by=$2 limit=$3
LC_ALL=C
export LC_ALL
umask 077
runner=$(mktemp) || exit 1
trap 'rm -f "$runner"' EXIT
trap 'exit 1' HUP INT TERM
base64 -d >"$runner" || exit 1
# The limit ends its commands too: what removes containers must not outlive the lock of the app.
systemd-run --scope --collect --quiet --description="gpuhost: remove ${home##*/} by $by" \
    -p RuntimeMaxSec="$limit" -p MemoryMax=50% \
    /usr/bin/python3 -I "$runner" remove "$home" --by "$by"
status=$?
[ "$status" -lt 128 ] \
    || echo "the removal was ended: it has $limit s and half of the memory; remove the app again" >&2
exit "$status"
