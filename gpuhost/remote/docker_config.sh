# Activate the new daemon.json; if the engine does not start with it, restore the previous one.
#   docker_config.sh FILE RECORD RESTART FLAG...
# FILE, RECORD: the configuration, and the record of gpuhost's keys in it; FILE.gpuhost-new and
# RECORD.gpuhost-new are the new ones. RESTART: yes or no. FLAGs: those that the unit gives dockerd.
# Prints nothing before the end: a lost connection does not stop it.
# shellcheck shell=sh
set -u
file=$1 record=$2 restart=$3
shift 3
new=$file.gpuhost-new
kept=/var/lib/gpuhost/docker
mkdir -p "$kept"

# Engines before 23.0 have no --validate: "unknown flag".
output=$(timeout 20 dockerd --validate --config-file="$new" "$@" 2>&1) || case $output in
    *'unknown flag: --validate'*) ;;
    *)
        echo "dockerd rejects the new $file; the previous one stays: $output" >&2
        rm -f "$new" "$record.gpuhost-new"
        exit 1
        ;;
esac

keep() { if [ -e "$1" ]; then cp -p "$1" "$kept/$2"; else rm -f "$kept/$2"; fi; }
restore() { if [ -e "$kept/$2" ]; then cp -p "$kept/$2" "$1"; else rm -f "$1"; fi; }

# engine_restart.sh
restart_engine() (
@engine_restart.sh@
)

keep "$file" daemon.json.before
keep "$record" record.before
mv "$new" "$file"
mv "$record.gpuhost-new" "$record"
[ "$restart" = yes ] || { cp -p "$file" "$kept/daemon.json.applied"; exit 0; }
if why=$(restart_engine 2>&1); then
    cp -p "$file" "$kept/daemon.json.applied"
    exit 0
fi

restore "$file" daemon.json.before
restore "$record" record.before
if restart_engine 2>/dev/null; then
    echo "the engine did not start with the new $file; the previous one is restored: $why" >&2
else
    echo "the engine does not start, with the new $file or with the previous one, which is restored: $why" >&2
fi
exit 1
