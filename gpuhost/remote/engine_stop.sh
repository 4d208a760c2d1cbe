# End container engines that no unit of systemd manages, and wait until they have ended.
#   engine_stop.sh PID...
# shellcheck shell=sh
set -u
is_engine() {
    # Between the reading and now, the number may have gone to another process.
    case $(cat "/proc/$1/comm" 2>/dev/null) in
        dockerd | balena*) return 0 ;;
    esac
    return 1
}

for pid; do
    if is_engine "$pid"; then kill "$pid"; fi
done
for pid; do
    while is_engine "$pid"; do sleep 1; done
done
