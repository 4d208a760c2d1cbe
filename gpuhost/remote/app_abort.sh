# Ask for the end of the operation in progress on an app. If nothing carries it out any more, start
# the runner, which undoes it.
#
#   APP_HOME BY UNIT RESUME_UNIT LIMIT_S RUNNER
#
# The runner is on stdin (base64): the one on the host may be older. stdout: attempt.json of the
# operation; nothing if there is none.
set -u
home=$1 by=$2 unit=$3 resume=$4 limit=$5 runner=$6
apps=${home%/*}
LC_ALL=C
export LC_ALL
umask 077
new=$(mktemp "$apps/lib/.runner.XXXXXX") || exit 1
trap 'rm -f "$new"' EXIT
trap 'exit 1' HUP INT TERM
base64 -d >"$new" || exit 1

# Whether one of the units is in one of these states.
is_in() {
    timeout 30 systemctl show --property=ActiveState --value -- "$unit" "$resume" | grep -qxE "$1"
}

# A unit that is being stopped ends within 90 seconds.
wait_until_stopped() {
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        is_in deactivating || return 0
        sleep 5
    done
}

@runner.sh@

operation=$(timeout 60 /usr/bin/python3 -I "$new" abort "$home" --by "$by") || exit 1
[ -n "$operation" ] || exit 0
wait_until_stopped
if ! is_in 'active|activating|reloading'; then
    install_runner "$new" "$home" "$runner" || exit 1
    # Somebody else may have started it meanwhile.
    start "$unit" "$limit" "gpuhost: abort by $by" "$home" resume "$home" || is_in 'active|activating' || exit 1
fi
printf '%s\n' "$operation"
