# Restart the engine. If it does not start, or does not answer, the reason is the error output.
# shellcheck shell=sh
set -u
@own_engine.sh@
began=$(date +%s)

# After a few quick starts in a row, systemd refuses the next one: reset its counter.
timeout 10 systemctl reset-failed docker.service 2>/dev/null
if timeout 120 systemctl restart docker.service 2>/dev/null; then
    answer=$(timeout 20 docker info 2>&1 >/dev/null) && exit 0
fi

# What dockerd says last is why; systemd's own lines say only that it ended (snapshot/docker.py).
said=$(timeout 20 journalctl -u docker.service --since "@$began" -n 40 --no-pager -o cat 2>/dev/null \
    | grep -viE "^$|^docker\\.service: |^(failed to start|start[a-z]*|stop[a-z]*) docker|^see 'dockerd|level=(info|warning|debug)")
why=$(echo "$said" | grep -iE 'unable to|level=(fatal|error)|failed to |invalid|unknown |cannot' | tail -n 1)
why=$(echo "${why:-$said}" | tail -n 1 | sed 's#//[^"]*@#//***@#' | cut -c 1-400)
echo "${why:-${answer:-see journalctl -u docker.service}}" >&2
exit 1
