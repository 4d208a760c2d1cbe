# Reads one host and changes nothing on it: every probe is one command under a time limit, all of them
# run at once, and what they printed goes home as a tar. Sent on stdin with the probes that the
# readers declare: run_probes, run_last_probes and $patience, the seconds for what may take long.
# shellcheck shell=sh disable=SC2016,SC2154,SC2254,SC2329

# probe NAME COMMAND...: leaves NAME.out, NAME.err and NAME.rc. It holds the pipe to `expire` open
# until it has ended.
probe() {
    name=$1
    shift
    expect "$name"
    {
        timeout -k 1 "$limit" "$@" </dev/null >"$work/$name.out" 2>"$work/$name.err"
        echo $? >"$work/$name.rc"
    } 2>/dev/null &
}

# PROBES | expire SECONDS: ends when all probes have ended. `timeout` cannot end a process in D state:
# whoever waits for one gives up on its own.
expire() {
    timeout $(($1 + 2)) cat >/dev/null
}

# at_once NAME COMMAND...: for what only reads small files and asks the kernel: one after another, a
# tenth of a probe's cost. What comes after one that hangs has timed out too.
at_once() {
    name=$1
    shift
    "$@" </dev/null >"$work/$name.out" 2>"$work/$name.err"
    echo $? >"$work/$name.rc"
}

# expect NAME...: until they have ended, their exit status is empty, which says that they timed out.
expect() {
    for name; do : >"$work/$name.rc"; done
}

# Asking Docker's socket would start a stopped engine: systemd knows without doing so.
engine_runs() {
    [ "${engine+asked}" ] || {
        timeout 3 systemctl is-active --quiet docker.service </dev/null
        engine=$?
    }
    return "$engine"
} >/dev/null 2>&1

# engine_is_behind PIDFILE FILE: the engine has not started with FILE or with its unit as they are:
# one of them has changed since dockerd wrote its pid. By the time of the change, which a copy that
# keeps the file's date has too.
engine_is_behind() {
    pid=$1
    [ -s "$2" ] && command -v dockerd >/dev/null || return 1
    engine_runs && [ -e "$pid" ] || return 0
    set -- "$2"
    while IFS= read -r line; do
        # shellcheck disable=SC2086 # a list of paths
        case $line in
            FragmentPath=* | DropInPaths=*) set -- "$@" ${line#*=} ;;
        esac
    done <"$work/docker_unit.out"
    [ "$(timeout 3 find "$@" -maxdepth 0 -cnewer "$pid" 2>/dev/null)" ]
}

# By what the probe `units` has printed: a service that ended with an error, or is tried again.
has_failed() {
    sed -n "/^Id=$1\$/,/^\$/p" "$work/units.out" 2>/dev/null \
        | grep -qE '^(ActiveState=failed|SubState=auto-restart)$' 2>/dev/null
}

# A bridge with another name than Docker gives: docker0, docker_gwbridge, br-<12 hexadecimal digits>.
has_named_bridge() {
    hex='[0-9a-f]' && hex=$hex$hex$hex$hex
    for bridge in /sys/class/net/*/bridge; do
        bridge=${bridge%/bridge}
        case ${bridge##*/} in
            '*' | docker0 | docker_gwbridge | br-$hex$hex$hex) ;;
            *) return 0 ;;
        esac
    done
    return 1
}

main() {
    LC_ALL=C TZ=UTC0 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    # Programs in Go, docker and its plugins, collect garbage from 40 MB on, not from 4 MB: at less
    # they would several times, and take a third longer.
    GOGC=1000
    export LC_ALL TZ PATH GOGC
@own_engine.sh@
    umask 077
    work=
    trap 'rm -rf "$work"' EXIT
    for place in /run /dev/shm "${TMPDIR:-/tmp}" ''; do
        [ "$place" ] || {
            echo 'no directory to write in: /run, /dev/shm and /tmp are full or read-only' >&2
            exit 70
        }
        work=$(mktemp -d "$place/gpuhost.XXXXXX" 2>/dev/null) || continue
        # A full file system still makes directories: room for a whole reading is what counts.
        head -c 2000000 /dev/zero 2>/dev/null >"$work/room" && rm "$work/room" && break
        rm -rf "$work"
    done

    run_probes
    wait
    run_last_probes
    wait
    # An empty file says nothing, unless it is an exit status.
    cd "$work" || exit
    filled=
    for file in *; do
        [ ! -s "$file" ] && [ "${file%.rc}" = "$file" ] || filled="$filled $file"
    done
    # shellcheck disable=SC2086 # a list of names, which the script itself has given
    tar -cf - $filled | gzip -1 | base64 -w 0
}
