#!/bin/sh
# Started by systemd when the nightly drift check has failed itself: an error in the journal, and a message to
# where GPUHOST_NOTIFY says. The URL is a secret: it goes on in the environment, never as an argument.
set -u

# One host's settings or one file may be the reason: what it did find is in its journal.
message="the nightly drift check on $(uname -n) failed or is incomplete${MONITOR_SERVICE_RESULT:+ ($MONITOR_SERVICE_RESULT)}: see its journal, journalctl -u gpuhost-drift.service"
# <3>: the journal's level of errors.
echo "<3>$message"

if [ -n "${GPUHOST_NOTIFY:-}" ]; then
    APPRISE_URLS=$GPUHOST_NOTIFY
    export APPRISE_URLS
    # What it prints may name the URL.
    timeout -k 5 90 apprise -n failure -SM memory -t 'gpuhost drift' -b "$message" >/dev/null 2>&1 || {
        echo '<3>and the message about it could not be sent'
        exit 1
    }
fi
