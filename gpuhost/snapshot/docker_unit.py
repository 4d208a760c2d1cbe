"""The engine's unit as systemd understood it: its command, with the file of every flag."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from shlex import quote

from gpuhost.domain.docker.flags import Flag, parse_flags
from gpuhost.snapshot.probes import Probes
from gpuhost.snapshot.request import ProbeCommand, Request
from gpuhost.snapshot.units import ENGINE

PROGRAM = "dockerd"
VARIABLE = re.compile(r"\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))")
ARGUMENTS = re.compile(r"^ExecStart=.*? ; argv\[\]=(.*?) ; ignore_errors=", re.MULTILINE)
# systemd's environment may hold a proxy's password: only variables that the command names leave the
# host, and what looks like a secret in them does not.
SHOWN = rf"""
mask() {{
    sed -E 's#://[^/@" ]*@#://***@#g; s/((token|passw[a-z]*|secret)[a-z_-]*=)[^" ]*/\1***/g'
}}
shown=$(systemctl show --no-pager -p ExecStart -p Environment -p EnvironmentFiles -p FragmentPath \
    -p DropInPaths -p NeedDaemonReload {ENGINE}) || exit
list() {{ printf '%s\n' "$shown" | sed -nE "s/^($1)=//p"; }}
printf '%s\n' "$shown" | grep -v '^Environment=' | mask
units="$(list FragmentPath) $(list DropInPaths)"
[ "$units" != ' ' ] || exit 0
grep -slE '^[[:space:]]*ExecStart[[:space:]]*=[[:space:]]*[^[:space:]]' $units | sed 's/^/in /'
for path in /etc/systemd/system /run/systemd/system /usr/local/lib/systemd/system \
    /usr/lib/systemd/system /lib/systemd/system; do
    for file in "$path"/{ENGINE}.d/*.conf; do
        [ ! -e "$file" ] || printf 'drop-in %s\n' "$file"
    done
done
for name in $(list ExecStart | grep -oE '[$][{{]?[A-Za-z_][A-Za-z0-9_]*' | tr -d '${{'); do
    list Environment | grep -oE "\"$name=(\\\\.|[^\"\\\\])*\"|(^| )$name=[^ \"]*" | mask \
        | sed 's/^/set /'
    grep -slE "(^|[\"' =])$name=" $units | sed "s/^/from $name /"
    for file in $(list EnvironmentFiles | sed 's/ (ignore_errors=.*//'); do
        sed -e :a -e '/\\$/N; s/\\\n//; ta' "$file" 2>/dev/null | grep -E "^[[:space:]]*$name=" \
            | mask | sed "s#^#file $file #"
    done
done
exit 0"""
REQUEST = Request(probes=(ProbeCommand("docker_unit", f"sh -c {quote(SHOWN)}"),))


@dataclass(frozen=True)
class UnitFlag:
    """A flag that the unit gives dockerd. file: that gives it"""

    flag: Flag
    file: str

    def __str__(self) -> str:
        return f"{self.flag.text} in {self.file}" if self.file else self.flag.text


@dataclass(frozen=True)
class DockerUnit:
    """docker.service.

    + flags: of dockerd; None: the unit starts another program, whose flags to dockerd are not known
    + program: what it starts; "" without a unit
    + unread: files that have changed since systemd read them: the next boot starts something else
    """

    program: str = ""
    flags: tuple[UnitFlag, ...] | None = ()
    unread: tuple[str, ...] = ()

    @classmethod
    def read(cls, probes: Probes) -> DockerUnit:
        text = probes.output("docker_unit")
        command = ARGUMENTS.search(text)
        if command is None:
            return cls()
        words = command[1].split() or [""]
        program = words.pop(0)
        unread = tuple(_unread(text))
        if program.rpartition("/")[2] != PROGRAM:
            return cls(program, None, unread)
        return cls(program, tuple(_flags(words, _Variables.read(text))), unread)

    def value(self, name: str) -> str | None:
        """The last value of a flag; None if it is not given."""
        values = [each.flag.value for each in self.flags or () if each.flag.name == name]
        return values[-1] if values else None


@dataclass(frozen=True)
class _Variables:
    """The values of variables, where each is set, and the file with the command."""

    values: Mapping[str, str]
    files: Mapping[str, str]
    command: str

    @classmethod
    def read(cls, text: str) -> _Variables:
        values: dict[str, str] = {}
        files: dict[str, str] = {}
        command = ""
        for line in text.splitlines():
            kind, _, rest = line.partition(" ")
            if kind == "in":
                command = rest
            elif kind == "set":
                name, _, value = _plain(rest.strip()).partition("=")
                values[name] = value
            elif kind == "from":
                name, _, path = rest.partition(" ")
                files[name] = path
            elif kind == "file":  # read after Environment=, and wins
                path, _, assignment = rest.partition(" ")
                name, _, value = assignment.strip().partition("=")
                values[name], files[name] = _plain(value.strip()), path
        return cls(values, files, command)


def _unread(text: str) -> Iterator[str]:
    """systemd itself (252, 257) does not tell of a drop-in that was added since."""
    shown = dict(line.partition("=")[::2] for line in text.splitlines())
    known = shown.get("DropInPaths", "").split()
    # Of several with one name, systemd reads the first directory's.
    names = {path.rpartition("/")[2] for path in known}
    for line in text.splitlines():
        kind, _, path = line.partition(" ")
        if kind == "drop-in" and path.rpartition("/")[2] not in names:
            yield path
    if shown.get("NeedDaemonReload") == "yes":
        yield from known or [shown.get("FragmentPath", ENGINE)]


def _plain(text: str) -> str:
    """Without the quotes around it, as both systemctl and environment files write them."""
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        inner = text[1:-1]
        return re.sub(r"\\(.)", r"\1", inner) if text[0] == '"' else inner
    return text


def _flags(words: list[str], variables: _Variables) -> Iterator[UnitFlag]:
    """Flags with the file of each. A variable that is a word of its own becomes several words."""
    expanded: list[tuple[str, str]] = []
    for word in words:
        match = VARIABLE.fullmatch(word)
        if match and match[2]:
            file = variables.files.get(match[2], variables.command)
            expanded += [(each, file) for each in _split(variables.values.get(match[2], ""))]
        else:
            whole = VARIABLE.sub(lambda m: variables.values.get(m[1] or m[2], ""), word)
            expanded.append((whole, variables.command))
    for flag in parse_flags([word for word, _ in expanded]):
        yield UnitFlag(flag, expanded[flag.at][1])


def _split(value: str) -> list[str]:
    try:
        return shlex.split(value)
    except ValueError:
        return value.split()
