# drift_reports.sh ACCOUNT HOME DIRECTORY…: directories that are missing, made for the account.
# In its own home it makes them itself: root would follow links that it has made there.
set -eu
account=$1 home=$2
shift 2

for directory; do
    case $directory in
        "$home"/*) runuser -u "$account" -- mkdir -p "$directory" ;;
        *) [ -d "$directory" ] || install -d -m 0755 -o "$account" -g "$account" "$directory" ;;
    esac
done
