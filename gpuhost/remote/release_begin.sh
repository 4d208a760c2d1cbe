# Unpack the release on stdin (tar, base64), and start the app's runner.
#
#   APP_HOME ID UNIT LIMIT_S DESCRIPTION RESUME_UNIT_FILE RUNNER SHA256 VERB [ARGUMENT...]
#
# An empty SHA256: nothing is on stdin; a rollback has everything on the host.
# Exit status 75: another operation on this app is under way; stdout is its attempt.json, and nothing
# was changed. After any other failure the release's directory is removed; stderr has the reason.
set -u
home=$1 id=$2 unit=$3 limit=$4 description=$5 resume=$6 runner=$7 sum=$8 verb=$9
shift 9
apps=${home%/*}
new="$home/releases/.$id.new"
LC_ALL=C
export LC_ALL
umask 077

busy() {
    state=$(timeout 30 systemctl show --property=ActiveState --value -- "$unit") || return 1
    case $state in
        active | activating | deactivating | reloading) ;;
        *) return 1 ;;
    esac
    cat "$home/attempt.json" 2>/dev/null || echo '{}'
}

directory() {
    [ -d "$2" ] || mkdir -m "$1" "$2"
}

unpack() {
    directory 0755 "$apps"
    directory 0755 "$apps/lib"
    directory 0755 "$home"
    directory 0700 "$home/releases"
    # Left by lost connections, more than a day ago.
    find "$home/releases" -maxdepth 1 -name '.*.new' -mmin +1440 -exec rm -rf {} +
    rm -rf "$new"
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
        chmod 0644 "$new/resume.service"
        mv -f "$new/resume.service" "$resume"
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
    rm -rf "$new"
}

begin() {
    if busy; then exit 75; fi
    if [ -n "$sum" ]; then deliver; fi
    code=0
    start "$unit" "$limit" "$description" "$home" "$verb" "$home" "$id" "$@" || code=$?
    # After 124 it may have started: following it shows whether it has.
    case $code in 0 | 124) exit "$code" ;; esac
    # Another operation started first, or systemd could not start it.
    rm -rf "$home/releases/$id"
    if busy; then exit 75; fi
    exit 1
}

(
    set -e
    begin "$@"
)
status=$?
[ "$status" = 0 ] || rm -rf "$new"
# Read all of stdin: otherwise the sender fails to write, and does not get the reason.
cat >/dev/null
exit "$status"
