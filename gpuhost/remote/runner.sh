# Put in for a line @runner.sh@: the runner on the host, and the unit that carries it out.

# put FILE PLACE: whole or not at all, from another disk too, and though the disk is full.
put() {
    draft=$(mktemp "${2%/*}/.${2##*/}.XXXXXX") || return
    if cp "$1" "$draft" && chmod 0644 "$draft" && sync "$draft" && mv -fT "$draft" "$2"; then return 0; fi
    rm -f "$draft"
    return 1
}

# install_runner FILE APP_HOME NAME. The runner removes old runners that no app uses by their time and
# their links: a link is there before its runner.
install_runner() {
    rm -f "$2/.runner.pyz.new" &&
        ln -s "../lib/$3" "$2/.runner.pyz.new" &&
        put "$1" "${2%/*}/lib/$3" &&
        mv -fT "$2/.runner.pyz.new" "$2/runner.pyz"
}

# start UNIT LIMIT_S DESCRIPTION APP_HOME VERB [ARGUMENT...]. OOMPolicy: if a client is killed for
# memory, the runner continues. MemoryMax: no output of an app takes the memory from the apps.
start() {
    unit_name=$1 limit_s=$2 words=$3 app_home=$4
    shift 4
    timeout 60 systemd-run --quiet --unit="$unit_name" --collect --service-type=exec \
        --description="$words" \
        -p Restart=on-failure -p RestartSec=1 -p RestartPreventExitStatus="1 2 3 4" \
        -p StartLimitIntervalSec=600 -p StartLimitBurst=12 \
        -p RuntimeMaxSec="$limit_s" -p OOMPolicy=continue -p MemoryMax=50% \
        /usr/bin/python3 "$app_home/runner.pyz" "$@"
}
