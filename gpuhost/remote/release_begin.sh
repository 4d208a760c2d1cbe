# Unpack the release on stdin (tar, base64), and start the app's runner.
#
#   APP_HOME ID UNIT LIMIT_S DESCRIPTION RESUME_UNIT_FILE RUNNER SHA256 VERB [ARGUMENT...]
#
# An empty SHA256: nothing is on stdin; a rollback has everything on the host.
# Exit status 75: another operation on this app is under way; stdout is its attempt.json, and nothing
# was changed. 124: it may have started. After any other failure the release's directory is removed, if
# this script made it; stderr has the reason.
set -u
home=$1 id=$2 unit=$3 limit=$4 description=$5 resume=$6 runner=$7 sum=$8 verb=$9
shift 9
apps=${home%/*}
new="$home/releases/.$id.new"
LC_ALL=C
export LC_ALL
umask 077

unit_property() {
    timeout 30 systemctl show --property="$1" --value -- "$unit"
}

is_running() {
    case $1 in
        active | activating | deactivating | reloading) ;;
        *) return 1 ;;
    esac
}

busy() {
    { [ -f "$home/attempt.json" ] && head -c 65536 "$home/attempt.json"; } 2>/dev/null || echo '{}'
    exit 75
}

directory() {
    [ -d "$2" ] || mkdir -m "$1" "$2"
}

# One delivery at a time; the kernel releases the lock.
lock() {
    directory 0755 "$apps"
    directory 0755 "$apps/lib"
    directory 0755 "$home"
    directory 0700 "$home/releases"
    # Also one of an earlier version, or of a person: whoever can open it can hold the lock.
    chmod 0700 "$home/releases"
    exec 9<"$home/releases"
    flock -n 9
}

unpack() {
    # Those of lost connections too.
    trap 'rm -rf "$home/releases"/.*.new' EXIT
    trap 'exit 1' HUP INT TERM
    rm -rf "$home/releases"/.*.new
    mkdir "$new"
    base64 -d >"$new/bundle"
    if ! printf '%s  %s\n' "$sum" "$new/bundle" | sha256sum --quiet --check - >/dev/null 2>&1; then
        echo 'the release did not arrive completely: the connection was lost' >&2
        exit 1
    fi
    tar -xf "$new/bundle" -C "$new" --no-same-owner --preserve-permissions
    rm "$new/bundle"
    # On disk before anything starts: the boot after a power cut needs it.
    find "$new" -type f -exec sync -- {} +
}

@runner.sh@

install_resume() {
    if ! cmp -s "$new/resume.service" "$resume"; then
        [ -e "$resume" ] && is_loaded=yes || is_loaded=no
        put "$new/resume.service" "$resume"
        # On some hosts a reload takes the cards from running containers, and a new file needs none.
        if [ "$is_loaded" = yes ]; then timeout 60 systemctl daemon-reload; fi
    fi
    instance="gpuhost-resume@${home##*/}.service"
    if ! timeout 60 systemctl is-enabled --quiet -- "$instance" 2>/dev/null; then
        timeout 60 systemctl enable --root=/ --quiet -- "$instance"
    fi
}

deliver() {
    unpack
    install_runner "$new/runner.pyz" "$home" "$runner"
    install_resume
    mv -T "$new/release" "$home/releases/$id"
}

remove_delivered() {
    [ -z "$sum" ] || rm -rf "$home/releases/$id"
}

begin() {
    lock || busy
    state=$(unit_property ActiveState) || {
        echo 'systemd does not answer' >&2
        exit 1
    }
    if is_running "$state"; then busy; fi
    if [ -n "$sum" ]; then deliver; fi
    code=0
    start "$unit" "$limit" "$description" "$home" "$verb" "$home" "$id" "$@" || code=$?
    # After 124 it may have started: following it shows whether it has.
    case $code in 0 | 124) exit "$code" ;; esac
    state=$(unit_property ActiveState) || exit 124
    # The unit of this very release runs, or has run: its directory is in use.
    if is_running "$state" && unit_property Description | grep -qF -- " $id by "; then exit 0; fi
    if [ -e "$home/releases/$id/journal" ]; then exit 124; fi
    # Another operation started first, or systemd could not start it.
    remove_delivered
    if is_running "$state"; then busy; fi
    exit 1
}

(
    set -e
    begin "$@"
)
status=$?
# Read all of stdin: otherwise the sender fails to write, and does not get the reason.
cat >/dev/null
exit "$status"
