# Fetch URLs of Release files, all at once, with apt's own downloader: its proxy, its certificates.
# Prints a line for each: the URL, `ok` or `failed`, and the file's date or apt's error.
#   apt_ask.sh SECONDS URL...
# SECONDS: the limit for each.
# shellcheck shell=sh
set -u
seconds=$1
shift
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

ask() {
    file=$work/$1
    timeout -k 1 "$seconds" /usr/lib/apt/apt-helper -o Acquire::Retries=0 \
        -o Acquire::http::Timeout=10 -o Acquire::https::Timeout=10 \
        download-file "$2" "$file" </dev/null >"$file.log" 2>&1
    case $? in
        0) printf '%s\tok\t%s\n' "$2" "$(sed -n 's/^Date: *//p' "$file" | head -n 1)" ;;
        124 | 137) printf '%s\tfailed\tno answer in %s s\n' "$2" "$seconds" ;;
        *) printf '%s\tfailed\t%s\n' "$2" "$(grep '^E: ' "$file.log" | head -n 1 | tr '\t' ' ')" ;;
    esac >"$file.answer"
}

number=0
for url; do
    number=$((number + 1))
    ask "$number" "$url" &
done
wait
cat "$work"/*.answer
