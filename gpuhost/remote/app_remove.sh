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
timeout -k 10 "$limit" /usr/bin/python3 -I "$runner" remove "$home" --by "$by"
