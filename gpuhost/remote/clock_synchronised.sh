# Wait up to SECONDS until the clock is synchronised. Never fails, even if no time server answers.
#   clock_synchronised.sh SECONDS
# shellcheck shell=sh
set -eu
left=$1
while [ "$left" -gt 0 ]; do
    # A timedatectl that hung has already used its 5 seconds.
    synchronised=$(timeout 5 timedatectl show -p NTPSynchronized --value) || left=$((left - 5))
    if [ "$synchronised" = yes ]; then break; fi
    echo "waiting for a time server: $left s left"
    sleep 2
    left=$((left - 2))
done
