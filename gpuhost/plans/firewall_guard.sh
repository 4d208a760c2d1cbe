#!/bin/sh
# The host's own part of the firewall: makes a change, and undoes it unless somebody confirms it.
#
#   firewall change SECONDS   arm the undo, then make the change described on standard input
#   firewall confirm          the change is good: disarm the undo
#   firewall revert           restore exactly what was there before the change
#   firewall load             put the rules for published container ports into the kernel
#
# A change, line by line: "rebuild" makes ufw's chains again, "ufw ARGUMENTS" runs ufw, "4 LINE" and
# "6 LINE" are the rules for published ports, "remove" takes everything of ours away, "end" is last.
set -eu
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

rules=/etc/gpuhost/firewall
state=/var/lib/gpuhost/firewall
pending=$state/pending
armed=/run/gpuhost-firewall-armed
# Only root reaches what is in it: whoever can open a lock file can hold its lock for ever.
locks=/run/gpuhost-firewall
after_init=/etc/ufw/after.init
undo=gpuhost-firewall-revert
ours='^(ufw6?|GPUHOST)-'
# Seconds; whoever calls ends the change by then.
longest_change=300

main() {
    case ${1-} in
        change | confirm) lock 120 || fail "locked: another change takes longer than 120 s" ;;
        # ufw, run by a change, runs after.init, which runs this: the change itself loads at its end.
        load) [ -z "${GPUHOST_FIREWALL_CHANGES-}" ] || exit 0
            lock 120 || fail "locked: another change takes longer than 120 s" ;;
        # By then a change has ended or hangs: nothing may keep a host closed that nobody reaches.
        revert) lock "$((longest_change + 60))" || echo "firewall: the lock is held; reverted anyway" ;;
        *) fail "usage: change SECONDS, confirm, revert or load" ;;
    esac
    "$@"
}

# lock SECONDS: waits no longer for it.
lock() {
    rm -f /run/gpuhost-firewall.lock
    mkdir -p "$locks"
    chmod 0700 "$locks"
    exec 9>"$locks/lock"
    flock -w "$1" 9
}

fail() {
    echo "firewall: $*" >&2
    exit 1
}

# Without IPv6 in the kernel there is nothing to guard there.
tools() {
    echo iptables
    if timeout 10 ip6tables -w 5 -n -L INPUT >/dev/null 2>&1; then echo ip6tables; fi
}

rules_of() {
    case $1 in
        ip6tables) echo "$rules/published.v6" ;;
        *) echo "$rules/published.v4" ;;
    esac
}

saved() { timeout 20 "$1-save" -t filter; }

restore() { timeout 20 "$1-restore" -w 10 --noflush; }

# --- published container ports -------------------------------------------------------------

load() {
    for tool in $(tools); do
        if [ -f "$(rules_of "$tool")" ]; then
            hook "$tool"
        else
            drop "$tool" '^GPUHOST-'
            unhook "$tool"
        fi
    done
}

# Docker keeps what it finds in DOCKER-USER, and may start after us.
hook() {
    run_tool "$1" -n -L DOCKER-USER >/dev/null 2>&1 || run_tool "$1" -N DOCKER-USER
    restore "$1" <"$(rules_of "$1")"
    first "$1" DOCKER-USER GPUHOST-PUBLISHED
    first "$1" FORWARD DOCKER-USER
}

run_tool() {
    program=$1
    shift
    timeout 20 "$program" -w 10 "$@"
}

first() { run_tool "$1" -C "$2" -j "$3" 2>/dev/null || run_tool "$1" -I "$2" 1 -j "$3"; }

# Where Docker has no chains of its own, an empty DOCKER-USER was made by us.
unhook() {
    if saved "$1" | grep -Eq '^(:DOCKER |-A DOCKER-USER )'; then return 0; fi
    run_tool "$1" -D FORWARD -j DOCKER-USER 2>/dev/null || true
    run_tool "$1" -X DOCKER-USER 2>/dev/null || true
}

drop() { turn "$1" "$2" /dev/null; }

# turn TOOL CHAINS SAVED: makes the chains whose names match what they are in SAVED, with the jumps
# into them and the policies, in one transaction. Any other chain is restored as a whole if nobody
# touched it since; else only the jumps in it are put right: what Docker changed stays changed.
turn() {
    saved "$1" | awk -v ours="$2" '
        BEGIN { print "*filter" }
        /^:/ { chain = substr($1, 2) }
        /^:/ && before { known[chain] }
        /^:/ && before && $2 != "-" { print }
        /^:/ && before && chain ~ ours { had[chain]; print }
        /^:/ && !before && chain ~ ours { has[chain]; if (!(chain in had)) print "-F " chain }
        !/^-A / { next }
        before && ($2 in had) { print; next }
        before { was[$2] = was[$2] $0 "\n" }
        before && ($NF in had) { jumped[$2] = jumped[$2] $0 "\n"; touched[$2]; next }
        before { rest_was[$2] = rest_was[$2] $0 "\n"; next }
        $2 in has { next }
        $NF in has { jumps[$2] = jumps[$2] $0 "\n"; touched[$2]; next }
        { rest[$2] = rest[$2] $0 "\n" }
        END {
            for (chain in touched)
                if ((chain in known) && rest[chain] == rest_was[chain])
                    printf "-F %s\n%s", chain, was[chain]
                else {
                    only_in(jumps[chain], jumped[chain], "-D")
                    only_in(jumped[chain], jumps[chain], "-A")
                }
            for (chain in has) if (!(chain in had)) print "-X " chain
            print "COMMIT"
        }
        function only_in(these, those, verb,    lines, count, i) {
            count = split(these, lines, "\n")
            for (i = 1; i < count; i++)
                if (!index(those, lines[i] "\n")) { sub(/^-A/, verb, lines[i]); print lines[i] }
        }' before=1 "$3" before=0 - | restore "$1"
}

# --- ufw's own starts ----------------------------------------------------------------------

# Rules of others around ufw's, such as ufw-docker's, empty DOCKER-USER whenever ufw starts: then
# ufw loads ours again, by after.init. If that was not executable, what it has stays inert.
follow_ufw() {
    unfollow_ufw
    grep -Eqs '^(:|-[AIF] )DOCKER-USER' /etc/ufw/before*.rules /etc/ufw/after*.rules || return 0
    [ -s "$after_init" ] || echo '#!/bin/sh' >"$after_init"
    case $(sed -n 1p "$after_init") in '#!'*sh | '#!'*sh' '*) ;; *) return 0 ;; esac
    {
        sed -n 1p "$after_init"
        echo '# gpuhost: begin'
        echo "[ \"\$1\" != start ] || [ ! -x $0 ] || $0 load"
        [ -x "$after_init" ] || echo 'exit 0'
        echo '# gpuhost: end'
        sed 1d "$after_init"
    } >"$after_init.new"
    chmod 0750 "$after_init.new"
    mv "$after_init.new" "$after_init"
}

unfollow_ufw() {
    ours_in_it=$(sed -n '/^# gpuhost: begin/,/^# gpuhost: end/p' "$after_init" 2>/dev/null) || return 0
    [ "$ours_in_it" ] || return 0
    sed -i '/^# gpuhost: begin/,/^# gpuhost: end/d' "$after_init"
    case $ours_in_it in *exit*) chmod 0640 "$after_init" ;; esac
}

# --- the undo ------------------------------------------------------------------------------

# What was there before a change that nobody confirmed stays the state to go back to.
arm() {
    [ -d "$pending" ] || keep
    : >"$armed"
    stop_timers
    # A name of its own each time: systemd forgets a stopped transient unit only after a while.
    timeout 20 systemd-run --quiet --collect --unit="$undo-$(date +%s%N)" --on-active="$1" \
        --timer-property=AccuracySec=1s "$0" revert 9>&-
}

keep() {
    rm -rf "$pending.new"
    mkdir -p "$state"
    mkdir -m 0700 "$pending.new"
    set -- etc/ufw etc/default/ufw
    [ ! -d "$rules" ] || set -- "$@" "${rules#/}"
    timeout 20 tar -C / -cpf "$pending.new/files.tar" "$@"
    for tool in $(tools); do saved "$tool" >"$pending.new/$tool"; done
    timeout 5 systemctl is-enabled ufw.service >"$pending.new/ufw-unit" 2>/dev/null || true
    ufw_is_on || : >"$pending.new/was-off"
    # On disk before it counts, and counted before anything changes: a reset may come at any time.
    # Only these files: what else the host has to write may take minutes.
    timeout 60 sync "$pending.new"/* "$pending.new"
    mv "$pending.new" "$pending"
    timeout 60 sync "$state"
}

stop_timers() { timeout 20 systemctl stop "$undo-*.timer" 2>/dev/null || true; }

confirm() {
    [ -d "$pending" ] || fail "nothing to confirm: the change was undone before"
    if asked remove; then
        rm -rf "$state/switched-on"
    elif [ -e "$pending/was-off" ]; then
        remember_policies
    fi
    mv "$pending" "$state/confirmed"
    stop_timers
    rm -rf "$state/confirmed" "$state/reverted" "$armed"
}

# For the day when ufw is switched off again: it would leave forwarding open, and Docker closes it.
remember_policies() {
    mkdir -p "$state/switched-on"
    for tool in $(tools); do
        sed -n '/^\*filter/p; /^:FORWARD /p; /^COMMIT/p' "$pending/$tool" >"$state/switched-on/$tool"
    done
}

revert() {
    [ -d "$pending" ] || return 0
    rm -rf "$rules"
    timeout 20 tar -C / -xpf "$pending/files.tar"
    grep -q '^enabled' "$pending/ufw-unit" || SYSTEMCTL_SKIP_SYSV=1 timeout 20 systemctl disable --root=/ --quiet ufw.service
    # After a reboot the kernel is empty, and ufw and Docker fill it from the files.
    if [ -e "$armed" ]; then
        for tool in $(tools); do
            # A host that is open can be put right; a host that nobody reaches cannot.
            turn "$tool" "$ours" "$pending/$tool" || run_ufw disable
            unhook "$tool"
        done
    fi
    date +%s >"$state/reverted"
    mv "$pending" "$state/undone"
    stop_timers
    rm -rf "$state/undone" "$armed"
}

# --- the change ----------------------------------------------------------------------------

# Until the change is made the undo waits longer; then the time runs in which it can be confirmed.
change() {
    mkdir -p "$state"
    cat >"$state/change"
    asked end || fail "the change arrived incomplete; nothing was done"
    arm "$(($1 + longest_change))"
    trap 'failed' EXIT
    make_change >"$state/log" 2>&1
    arm "$1"
    trap - EXIT
    cat "$state/log"
}

failed() {
    cat "$state/log"
    echo "firewall: the change failed and is undone" >&2
    revert
    exit 1
}

make_change() {
    own_defaults
    if asked rebuild; then rebuild; fi
    sed -n 's/^ufw //p' "$state/change" | while read -r arguments; do run_ufw "$arguments"; done
    if asked remove; then take_away; else put; fi
}

asked() { grep -qx "$1" "$state/change"; }

ufw_is_on() { grep -qi '^ENABLED=yes' /etc/ufw/ufw.conf; }

# With IPV6=no ufw empties the IPv6 table, with MANAGE_BUILTINS=yes all of them, Docker's rules too.
own_defaults() {
    for pair in IPV6=yes MANAGE_BUILTINS=no; do
        if grep -q "^${pair%=*}=" /etc/default/ufw; then
            sed -i "s/^${pair%=*}=.*/$pair/" /etc/default/ufw
        else
            # Its last line may have no end.
            sed -i "\$a\\" /etc/default/ufw
            echo "$pair" >>/etc/default/ufw
        fi
    done
}

# ufw does not bring back a jump that somebody took out of INPUT: it must find no chain of its own.
rebuild() {
    for tool in $(tools); do drop "$tool" '^ufw6?-'; done
    if ufw_is_on; then run_ufw "--force enable"; fi
}

# Whoever may read ufw's lock file can hold its lock, and ufw would wait until its time limit here.
close_ufw_lock() {
    (umask 077 && : >>/run/ufw.lock)
    chmod 0600 /run/ufw.lock
}

# The arguments are words of ufw's own syntax, so splitting at blanks is what is wanted.
run_ufw() {
    close_ufw_lock
    set -f
    # shellcheck disable=SC2086
    GPUHOST_FIREWALL_CHANGES=1 timeout 60 ufw $1 9>&-
    set +f
}

put() {
    mkdir -p "$rules"
    for version in 4 6; do
        sed -n "s/^$version //p" "$state/change" >"$rules/new"
        mv "$rules/new" "$rules/published.v$version"
    done
    follow_ufw
    run_ufw "--force enable"
    # After ufw: it may have emptied DOCKER-USER.
    load
    # Without --root, systemd would reload: on some hosts containers lose their GPUs by that.
    timeout 20 systemctl is-enabled --quiet ufw.service ||
        SYSTEMCTL_SKIP_SYSV=1 timeout 20 systemctl enable --root=/ --quiet ufw.service
}

# ufw goes off only when it was gpuhost that switched it on.
take_away() {
    rm -rf "$rules"
    unfollow_ufw
    load
    [ -e "$state/switched-on" ] || return 0
    run_ufw disable
    for tool in $(tools); do
        drop "$tool" '^ufw6?-'
        restore "$tool" <"$state/switched-on/$tool"
    done
}

main "$@"
