# Run COMMAND, an apt-get: the second part of a script whose first part is apt_idle.sh.
#   apt_run.sh COMMAND...
# MAY_REMOVE, if it is set: globs of the packages that COMMAND may remove. If it would remove
# others, it is not run, and they are named; the same with the option --no-remove.
# RUN, of an update: it is left out if one with this RUN has succeeded, and nothing has changed since.
# OPTIONAL, if it is set: URIs, a line each. If no other source than these fails in an
# update, it succeeds, and prints what failed: the installation that follows decides.
# shellcheck shell=sh
set -eu

# The packages that the command would remove, although MAY_REMOVE does not name them.
removals() {
    set -f
    "$@" -s -o APT::Get::Remove=true </dev/null 2>/dev/null | awk '$1 ~ /^(Remv|Purg)$/ { print $2 }' \
        | while read -r package; do
            for glob in ${MAY_REMOVE-}; do
                # shellcheck disable=SC2254
                case $package in $glob) continue 2 ;; esac
            done
            printf ' %s' "$package"
        done
}

explain_removals() {
    gone=$(removals "$@")
    [ "$gone" ] || return 1
    echo "refused: apt would also remove$gone; if nothing needs that," \
        "apt-get remove$gone, then run the deploy again" >&2
}

# Words of apt's errors: each names the URI of its source, or concerns them all.
errors() { grep '^E: ' | grep -v 'Some index files failed to download'; }

# This run, and all that decides what apt knows: not only times, a clock may be put right meanwhile.
state() { echo "$RUN" && find /etc/apt /var/lib/apt/lists -printf '%p %i %s %T@\n' 2>&1 || true; }

# Archives that lack another architecture than the host's: Ubuntu keeps most of them elsewhere.
explain_foreign() {
    own=$(dpkg --print-architecture 2>/dev/null) || return 0
    sed -n 's,^E: .*/binary-\([a-z0-9-]*\)/Packages.* 404 .*,\1,p' | sort -u | while read -r arch; do
        [ "$arch" = "$own" ] \
            || echo "the archive has nothing for $arch, which dpkg --add-architecture added here:" \
                "limit the source with \"Architectures: $own\" or [arch=$own]"
    done
}

update() {
    stamp=/run/gpuhost-apt-lists
    if [ "$(cat "$stamp" 2>/dev/null)" = "$(state)" ]; then exit 0; fi
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT
    status=0
    "$@" </dev/null >"$log" 2>&1 || status=$?
    if [ "$status" = 0 ]; then
        state >"$stamp"
        exit 0
    fi
    failed=$(errors <"$log") || failed=
    if [ ! "$failed" ] || [ ! "${OPTIONAL-}" ] || echo "$failed" | grep -qvF "$OPTIONAL"; then
        cat "$log" >&2
        explain_foreign <"$log" >&2
        exit "$status"
    fi
    echo "continues without the sources that fail: $failed"
    exit 0
}

case " $* " in
    *' update ') update "$@" ;;
    *' --no-remove '*)
        status=0
        "$@" </dev/null || status=$?
        [ "$status" = 0 ] || explain_removals "$@" || true
        exit "$status"
        ;;
esac
[ ! "${MAY_REMOVE-}" ] || ! explain_removals "$@" || exit 1
exec "$@" </dev/null
