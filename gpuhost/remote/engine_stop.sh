# End container engines that no unit of systemd manages, and wait until they have ended.
#   engine_stop.sh PID...
# shellcheck shell=sh
set -u
for pid; do
    # Between the reading and now, the number may have gone to another process.
    case $(cat "/proc/$pid/comm" 2>/dev/null) in
        dockerd | balena*) kill "$pid" ;;
    esac
done
for pid; do
    while kill -0 "$pid" 2>/dev/null; do sleep 1; done
done
