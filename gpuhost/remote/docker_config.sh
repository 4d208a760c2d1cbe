# Put the new daemon.json in force, or the old one back. The new one waits beside the old.
# FILE RECORD: the configuration, and what of it is ours. RESTART: yes or no.
# Prints nothing before the end: a connection that is lost does not stop it half-way.
# shellcheck shell=sh
set -u
file=$1 record=$2 restart=$3
new=$file.gpuhost-new
kept=/var/lib/gpuhost/docker
mkdir -p "$kept"

# Engines before 23.0 have no --validate; they say "unknown flag".
said=$(timeout 20 dockerd --validate --config-file="$new" 2>&1) || case $said in
    *'unknown flag'*) ;;
    *)
        echo "dockerd refuses the new $file, the old one stays: $said" >&2
        rm -f "$new" "$record.gpuhost-new"
        exit 1
        ;;
esac

keep() { if [ -e "$1" ]; then cp -p "$1" "$kept/$2"; else rm -f "$kept/$2"; fi; }
put_back() { if [ -e "$kept/$2" ]; then cp -p "$kept/$2" "$1"; else rm -f "$1"; fi; }

# A few quick starts in a row, and systemd refuses the next one.
start_again() {
    timeout 10 systemctl reset-failed docker.service 2>/dev/null
    timeout 120 systemctl restart docker.service && timeout 20 docker info >/dev/null 2>&1
}

keep "$file" daemon.json.before
keep "$record" record.before
mv "$new" "$file"
mv "$record.gpuhost-new" "$record"
[ "$restart" = yes ] || exit 0
if start_again; then exit 0; fi

why=$(timeout 20 journalctl -u docker -n 20 --no-pager -o cat 2>/dev/null \
    | grep -iE 'fail|error|unable' | tail -n 1)
put_back "$file" daemon.json.before
put_back "$record" record.before
if start_again; then
    echo "the engine did not start with the new $file, so the old one is back: $why" >&2
else
    echo "the engine starts neither with the new $file nor with the old one, which is back: $why" >&2
fi
exit 1
