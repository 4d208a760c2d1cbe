# Put the sources that lie staged in force. A mirror with which `apt-get update` fails is none: then everything
# goes back, and the error is apt's own. Prints nothing before the end: a lost connection does not stop it.
#   apt_switch.sh undo              takes back a change that was interrupted
#   apt_switch.sh to BASE LOCK ...  BASE: the mirror's URL; empty: the originals, whatever apt says of them.
# LOCK: seconds to wait for another apt. Then words:
#   keep:PATH   the file's present content is the original, to be kept
#   back:PATH   the file gets its kept original
#   stale:PATH  the kept original is needed no longer
#   forget      there is nothing left to remember
# shellcheck shell=sh
set -u
umask 022
verb=$1 base=${2:-} lock=${3:-0}
shift $(($# < 3 ? $# : 3))
state=/var/lib/gpuhost/apt
original=$state/original staged=$state/staged before=$state/before said=$state/update.log
record=$state/record.json

stop() {
    echo "$1" >&2
    rm -rf "$staged" "$before"
    exit 1
}

copy() {
    mkdir -p "$(dirname "$2")" && cp -p "$1" "$2"
}

# The file keeps its owner, its mode and, where it is a link, its place.
write() {
    file=$(readlink -f "$2") || file=$2
    if [ -e "$file" ]; then cp -p "$file" "$file.gpuhost-new"; fi
    cat "$1" >"$file.gpuhost-new" && mv -f "$file.gpuhost-new" "$file"
}

files_under() {
    if [ -d "$1/etc" ]; then (cd "$1" && find etc -type f | sed 's#^#/#'); fi
}

undo() {
    [ -e "$before/whole" ] || return 0
    for path in $(files_under "$before"); do write "$before$path" "$path"; done
    if [ -e "$before/record.json" ]; then cp -p "$before/record.json" "$record"; else rm -f "$record"; fi
    while read -r path; do rm -f "$original$path"; done <"$before/kept"
}

# apt waits for dpkg's lock by itself, but not for that of its lists.
update() {
    end=$(($(date +%s) + lock))
    while :; do
        timeout -k 5 600 apt-get -q update -o APT::Update::Error-Mode=any \
            -o DPkg::Lock::Timeout="$lock" -o Acquire::Retries=1 -o Acquire::http::Timeout=30 \
            -o Acquire::https::Timeout=30 </dev/null >"$said" 2>&1
        rc=$?
        if ! grep -qE 'Could not get lock|Unable to (acquire|lock)' "$said"; then return "$rc"; fi
        if [ "$(date +%s)" -ge "$end" ]; then return "$rc"; fi
        sleep 2
    done
}

errors() {
    if [ "$rc" = 124 ] || [ "$rc" = 137 ]; then echo 'apt-get update did not end in 600 s'; fi
    grep '^E: ' "$said" | grep -v 'Some index files failed to download'
}

# Whether every error names another server than the mirror: a third party's trouble is not the mirror's.
is_foreign() {
    [ -n "$(errors)" ] && ! errors | grep -qF "//${base#*://}/" && ! errors | grep -qv '://'
}

if [ "$verb" = undo ]; then
    undo
    rm -rf "$staged" "$before"
    exit 0
fi

rm -rf "$before"
mkdir -p "$before"
: >"$before/kept"
for word; do
    path=${word#*:}
    case $word in
        keep:*) echo "$path" >>"$before/kept" && copy "$path" "$original$path" ;;
        back:*) copy "$original$path" "$staged$path" ;;
    esac || stop "$path could not be copied; nothing was changed"
done
changed=$(files_under "$staged")
for path in $changed; do
    copy "$path" "$before$path" || stop "$path could not be copied; nothing was changed"
done
if [ -e "$record" ]; then cp -p "$record" "$before/record.json"; fi
: >"$before/whole"

# The record first: it tells what is ours from what a person wrote.
if [ -e "$staged/record.json" ]; then mv -f "$staged/record.json" "$record"; fi
for path in $changed; do write "$staged$path" "$path"; done

if [ -n "$changed" ] && ! update && [ -n "$base" ] && ! is_foreign; then
    why=$(errors | head -n 3)
    [ -n "$why" ] || why=$(tail -n 1 "$said")
    undo
    update
    stop "$base: the sources are as they were, apt-get update failed with it: $why"
fi

for word; do
    case $word in
        stale:*) rm -f "$original${word#*:}" ;;
        forget) rm -rf "$original" "$record" "$said" ;;
    esac
done
rm -rf "$staged" "$before"
exit 0
