# Put the new daemon.json in force, or the old one back. The new one waits beside the old.
# FILE RECORD: the configuration, and what of it is ours. RESTART: yes or no.
# Prints nothing before the end: a connection that is lost does not stop it half-way.
# shellcheck shell=sh
set -u
file=$1 record=$2 restart=$3
new=$file.gpuhost-new
backup=/var/lib/gpuhost/docker/daemon.json.before
mkdir -p "$(dirname "$backup")"

# Engines before 23.0 have no --validate; they say "unknown flag".
said=$(timeout 20 dockerd --validate --config-file="$new" 2>&1) || case $said in
    *'unknown flag'*) ;;
    *)
        echo "dockerd refuses the new $file, the old one stays: $said" >&2
        rm -f "$new" "$record.gpuhost-new"
        exit 1
        ;;
esac

rm -f "$backup"
if [ -e "$file" ]; then cp -p "$file" "$backup"; fi
mv "$new" "$file"
mv "$record.gpuhost-new" "$record"
[ "$restart" = yes ] || exit 0

# A few quick starts in a row, and systemd refuses the next one.
systemctl reset-failed docker.service 2>/dev/null
if timeout 120 systemctl restart docker.service && timeout 20 docker info >/dev/null 2>&1; then exit 0; fi

why=$(journalctl -u docker -n 20 --no-pager -o cat 2>/dev/null | grep -iE 'fail|error|unable' | tail -n 1)
if [ -e "$backup" ]; then cp -p "$backup" "$file"; else rm -f "$file"; fi
systemctl reset-failed docker.service 2>/dev/null
if timeout 120 systemctl restart docker.service; then
    echo "the engine did not start with the new $file, so the old one is back: $why" >&2
else
    echo "the engine starts neither with the new $file nor with the old one, which is back: $why" >&2
fi
exit 1
