# Create missing directories for the account.
#   drift_reports.sh ACCOUNT HOME DIRECTORY...
# Runs as the account inside its home: root would follow links that the account has made.
set -eu
account=$1 home=$2
shift 2

for directory; do
    case $directory in
        "$home"/*) runuser -u "$account" -- mkdir -p "$directory" ;;
        *) [ -d "$directory" ] || install -d -m 0755 -o "$account" -g "$account" "$directory" ;;
    esac
done
