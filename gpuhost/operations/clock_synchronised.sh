# Wait up to SECONDS until the clock is synchronised. Not reaching a time server is no failure here.
#   clock_synchronised.sh SECONDS
# shellcheck shell=sh
set -eu
left=$1
while [ "$(timedatectl show -p NTPSynchronized --value)" != yes ] && [ "$left" -gt 0 ]; do
    echo "waiting for a time server: $left s left"
    sleep 2
    left=$((left - 2))
done
