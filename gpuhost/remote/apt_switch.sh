# Activate the staged sources. If `apt-get update` fails with the mirror, restore the previous sources
# and print apt's error. Prints nothing before the end: a lost connection does not stop it.
#   apt_switch.sh undo              revert an interrupted change
#   apt_switch.sh to BASE LOCK ...  BASE: the mirror's URL; empty: the originals, even if apt fails with them
# LOCK: seconds to wait for another apt process. Then words:
#   keep:PATH   the file's current content is the original: keep a copy
#   back:PATH   restore the kept original of the file
#   stale:PATH  the kept original is not needed any more: delete it
#   forget      delete the record and every kept original
# shellcheck shell=sh
set -u
umask 022
verb=$1 base=${2:-} lock=${3:-0}
shift $(($# < 3 ? $# : 3))
state=/var/lib/gpuhost/apt
original=$state/original staged=$state/staged before=$state/before log=$state/update.log
record=$state/record.json

stop() {
    echo "$1" >&2
    rm -rf "$staged" "$before"
    exit 1
}

copy() {
    mkdir -p "$(dirname "$2")" && cp -p "$1" "$2"
}

# The file keeps its owner and its mode; if it is a link, its target is written.
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

# apt itself waits for dpkg's lock, but not for the lock of its lists.
update() {
    end=$(($(date +%s) + lock))
    while :; do
        timeout -k 5 600 apt-get -q update -o APT::Update::Error-Mode=any \
            -o DPkg::Lock::Timeout="$lock" -o Acquire::Retries=1 -o Acquire::http::Timeout=30 \
            -o Acquire::https::Timeout=30 </dev/null >"$log" 2>&1
        rc=$?
        if ! grep -qE 'Could not get lock|Unable to (acquire|lock)' "$log"; then return "$rc"; fi
        if [ "$(date +%s)" -ge "$end" ]; then return "$rc"; fi
        sleep 2
    done
}

errors() {
    if [ "$rc" = 124 ] || [ "$rc" = 137 ]; then echo 'apt-get update did not end in 600 s'; fi
    grep '^E: ' "$log" | grep -v 'Some index files failed to download'
}

# Whether every error names another server than the mirror: a third party's error does not count.
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

# The record first: it distinguishes gpuhost's entries from a person's.
if [ -e "$staged/record.json" ]; then mv -f "$staged/record.json" "$record"; fi
for path in $changed; do write "$staged$path" "$path"; done

if [ -n "$changed" ] && ! update && [ -n "$base" ] && ! is_foreign; then
    why=$(errors | head -n 3)
    [ -n "$why" ] || why=$(tail -n 1 "$log")
    undo
    update
    stop "$base: apt-get update failed with it; the previous sources are restored: $why"
fi

for word; do
    case $word in
        stale:*) rm -f "$original${word#*:}" ;;
        forget) rm -rf "$original" "$record" "$log" ;;
    esac
done
rm -rf "$staged" "$before"
exit 0
