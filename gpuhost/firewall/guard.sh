#!/bin/sh
# The host's own part of the firewall: makes a change, and undoes it unless somebody confirms it.
#
#   firewall change SECONDS   arm the undo, then make the change described on standard input
#   firewall confirm          the change is good: disarm the undo
#   firewall revert           put back exactly what was there before the change
#   firewall load             put the rules for published container ports into the kernel
#
# A change, line by line: "rebuild" makes ufw's chains anew, "ufw ARGUMENTS" runs ufw, "4 LINE" and
# "6 LINE" are the rules for published ports, "remove" takes everything of ours away, "end" is last.
set -eu
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

rules=/etc/gpuhost/firewall
state=/var/lib/gpuhost/firewall
pending=$state/pending
armed=/run/gpuhost-firewall-armed
undo=gpuhost-firewall-revert
ours='^(ufw6?|GPUHOST)-'

main() {
    exec 9>/run/gpuhost-firewall.lock
    flock 9
    case ${1-} in
        change) change "$2" ;;
        confirm | revert | load) "$1" ;;
        *) fail "usage: change SECONDS, confirm, revert or load" ;;
    esac
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
        if [ -f "$(rules_of "$tool")" ]; then hook "$tool"; else drop "$tool" '^GPUHOST-'; fi
    done
}

# Docker keeps what it finds in DOCKER-USER, and may start after us.
hook() {
    timeout 20 "$1" -w 10 -n -L DOCKER-USER >/dev/null 2>&1 || timeout 20 "$1" -w 10 -N DOCKER-USER
    restore "$1" <"$(rules_of "$1")"
    timeout 20 "$1" -w 10 -C DOCKER-USER -j GPUHOST-PUBLISHED 2>/dev/null ||
        timeout 20 "$1" -w 10 -I DOCKER-USER 1 -j GPUHOST-PUBLISHED
}

drop() { turn "$1" "$2" /dev/null; }

# turn TOOL CHAINS SAVED: makes the chains whose names match what they are in SAVED, in one
# transaction, with the jumps into them and the policies; everybody else's rules stay as they are.
turn() {
    saved "$1" | awk -v ours="$2" '
        BEGIN { print "*filter" }
        /^:/ { chain = substr($1, 2) }
        /^:/ && before && chain ~ ours { had[chain]; print }
        /^:/ && before && $2 != "-" { print }
        /^:/ && !before && chain ~ ours { has[chain]; if (!(chain in had)) print "-F " chain }
        /^-A / && before && ($2 in had) { print; next }
        /^-A / && before && ($NF in had) { sub(/^-A /, ""); jumped[$0]; next }
        /^-A / && !before && !($2 in has) && ($NF in has) { sub(/^-A /, ""); jumps[$0] }
        END {
            for (jump in jumps) if (!(jump in jumped)) print "-D " jump
            for (jump in jumped) if (!(jump in jumps)) print "-A " jump
            for (chain in has) if (!(chain in had)) print "-X " chain
            print "COMMIT"
        }' before=1 "$3" before=0 - | restore "$1"
}

# --- the undo ------------------------------------------------------------------------------

# What was there before a change that nobody confirmed stays the state to go back to.
arm() {
    [ -d "$pending" ] || keep
    : >"$armed"
    stop_timer
    timeout 20 systemd-run --quiet --unit="$undo" --on-active="$1" \
        --timer-property=AccuracySec=1s 9>&-
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
    timeout 30 sync
    mv "$pending.new" "$pending"
}

stop_timer() { timeout 20 systemctl stop "$undo.timer" 2>/dev/null || true; }

confirm() {
    [ -d "$pending" ] || fail "nothing to confirm: the change was undone before"
    if asked remove; then
        rm -f "$state/switched-on"
    elif [ -e "$pending/was-off" ]; then
        : >"$state/switched-on"
    fi
    mv "$pending" "$state/confirmed"
    stop_timer
    rm -rf "$state/confirmed" "$state/reverted" "$armed"
}

revert() {
    [ -d "$pending" ] || return 0
    rm -rf "$rules"
    timeout 20 tar -C / -xpf "$pending/files.tar"
    grep -q '^enabled' "$pending/ufw-unit" || timeout 20 systemctl disable --quiet ufw.service
    # After a reboot the kernel is empty, and ufw and Docker fill it from the files.
    if [ -e "$armed" ]; then
        for tool in $(tools); do revert_kernel "$tool" "$pending/$tool"; done
    fi
    date +%s >"$state/reverted"
    mv "$pending" "$state/undone"
    stop_timer
    rm -rf "$state/undone" "$armed"
}

# Docker may have changed its own rules since, so the table is not put back as a whole.
revert_kernel() {
    turn "$1" "$ours" "$2"
    grep -q '^:DOCKER-USER ' "$2" || timeout 20 "$1" -w 10 -X DOCKER-USER 2>/dev/null || true
}

# --- the change ----------------------------------------------------------------------------

change() {
    mkdir -p "$state"
    cat >"$state/change"
    asked end || fail "the change arrived incomplete; nothing was done"
    arm "$1"
    trap 'failed' EXIT
    make_change >"$state/log" 2>&1
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
    sed -i -e 's/^IPV6=.*/IPV6=yes/' -e 's/^MANAGE_BUILTINS=.*/MANAGE_BUILTINS=no/' /etc/default/ufw
}

# ufw does not bring back a jump that somebody took out of INPUT: it must find no chain of its own.
rebuild() {
    for tool in $(tools); do drop "$tool" '^ufw6?-'; done
    if ufw_is_on; then run_ufw "--force enable"; fi
}

# The arguments are words of ufw's own syntax, so splitting at blanks is what is wanted.
run_ufw() {
    set -f
    # shellcheck disable=SC2086
    timeout 60 ufw $1 9>&-
    set +f
}

put() {
    mkdir -p "$rules"
    for version in 4 6; do
        sed -n "s/^$version //p" "$state/change" >"$rules/new"
        mv "$rules/new" "$rules/published.v$version"
    done
    load
    run_ufw "--force enable"
    timeout 20 systemctl enable --quiet ufw.service
}

# ufw goes off only when it was gpuhost that switched it on.
take_away() {
    rm -rf "$rules"
    load
    [ -e "$state/switched-on" ] || return 0
    run_ufw disable
    for tool in $(tools); do drop "$tool" '^ufw6?-'; done
}

main "$@"
