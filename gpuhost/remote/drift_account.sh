# Create an account without a shell, its home, and its SSH key; existing ones stay.
#   drift_account.sh ACCOUNT HOME KEY
# Runs as the account inside its home: root would follow links that the account has made.
set -eu
account=$1 home=$2 key=$3

getent passwd "$account" >/dev/null || useradd --system --user-group --no-create-home \
    --home-dir "$home" --shell /usr/sbin/nologin "$account"
install -d -m 0755 -o "$account" -g "$account" "$home"
cd "$home"
# shellcheck disable=SC2016
exec runuser -u "$account" -- sh -eu -c '
    umask 077
    mkdir -p "${1%/*}" history
    chmod 0700 "${1%/*}" history
    [ -f "$1" ] || ssh-keygen -q -t ed25519 -N "" -C "$2@$(uname -n)" -f "$1"
    [ -f "$1.pub" ] || ssh-keygen -y -f "$1" >"$1.pub"
    chmod 0600 "$1"
    : >>"${1%/*}/known_hosts"
' sh "$key" "$account"
