# Put in for a line @runner.sh@: the runner on the host, and the unit that carries it out.

# install_runner FILE APP_HOME NAME. The archive has no times, and the runner removes old runners that
# no app uses by their time and their links: a link is there before its runner.
install_runner() {
    touch "$1" &&
        chmod 0644 "$1" &&
        rm -f "$2/.runner.pyz.new" &&
        ln -s "../lib/$3" "$2/.runner.pyz.new" &&
        mv -f "$1" "${2%/*}/lib/$3" &&
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
