# What others than root and the account can change in the checkouts "$@", and on the way to it: the
# first path in each checkout, in its interpreter's library and among the directories above them and
# above what their links lead to.
account=$(id -u gpuhost-drift 2>/dev/null || echo 0)

# Links are followed: to an interpreter elsewhere, say.
first_open() {
    find -L "$@" '(' ! -uid 0 ! -uid "$account" -o -perm -002 ! -type l \
        -o -perm -020 ! -gid 0 ! -type l ')' -printf '%p (%u %m)\n' -quit
    first_acl "$@"
}

# In a directory with the sticky bit, others cannot replace what is not theirs.
first_open_directory() {
    find -L "$@" -maxdepth 0 '(' ! -uid 0 ! -uid "$account" -o ! -perm -1000 -perm -002 \
        -o ! -perm -1000 -perm -020 ! -gid 0 ')' -printf '%p (%u %m)\n' -quit
    first_acl "$@" -maxdepth 0 ! -perm -1000
}

# Where a path has an ACL, its mode shows the ACL's mask as the bits of its group.
first_acl() {
    find -L "$@" -perm -020 -gid 0 ! -type l -exec ls -ldL -- {} + |
        sed -n 's|^[^ ]*+[^/]*\(/.*\)|\1 (root, with an ACL)|p' | head -n 1
}

# Of paths on standard input, what each link among them leads to.
targets() {
    xargs -r -d '\n' sh -c 'find "$@" -maxdepth 0 -type l "(" -lname "/*" -printf "%l\n" \
        -o -printf "%h/%l\n" ")"' sh
}

on_the_way() {
    printf '%s/\n' "$@"
    readlink -f -- "$@" | sed 's|$|/|'
    links=$(find -H "$@" -xdev -type l)
    # A link may lead to a link.
    for _ in 1 2 3 4; do
        [ "$links" ] || return 0
        printf '%s\n' "$links" | tr '\n' '\0' | xargs -0 readlink -f --
        links=$(printf '%s\n' "$links" | targets | sort -u)
        printf '%s\n' "$links"
    done
}

above() {
    awk -F/ 'BEGIN { print "/" }
        { path = ""; for (i = 2; i < NF; i++) { path = path "/" $i; if (!seen[path]++) print path } }'
}

# Its library is beside the interpreter; for one that was copied into .venv, where it came from.
for checkout in "$@"; do
    python=$(readlink -f "$checkout/.venv/bin/python3")
    case $python in
        "$checkout"/*) python=$(sed -n 's/^home *= *//p' "$checkout/.venv/pyvenv.cfg" 2>/dev/null)/python3 ;;
    esac
    for library in "${python%/bin/*}"/lib/python3*; do
        [ ! -d "$library" ] || set -- "$@" "$library"
    done
done
for directory in "$@"; do
    [ ! -d "$directory" ] || first_open "$directory" -xdev
done
set -f
IFS='
'
# shellcheck disable=SC2046
first_open_directory $(on_the_way "$@" | above)
exit 0
