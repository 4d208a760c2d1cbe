"""The engine's unit as systemd understood it: its command, with the file of every flag."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from shlex import quote

from gpuhost.domain.docker.flags import Flag, parse_flags
from gpuhost.domain.shell_words import shell_words
from gpuhost.snapshot.probes import NotRead, Probes
from gpuhost.snapshot.request import ProbeCommand, Request
from gpuhost.snapshot.units import ENGINE

PROGRAM = "dockerd"
VARIABLE = re.compile(r"\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))")
# `ExecStart={ path=/usr/bin/dockerd ; argv[]=/usr/bin/dockerd -H fd:// ; ignore_errors=no ; …`
COMMAND, ARGUMENTS, END = "ExecStart=", " ; argv[]=", " ; ignore_errors="
# Of a command with the values of its variables: Linux takes a quarter of it (execve(2)).
MOST_CHARACTERS = 8_000_000
# systemd's environment may hold a proxy's password: only variables that the command names leave the
# host, and what looks like a secret in them does not. The shell's own words: a process costs more.
SHOWN = rf"""
shown=$(systemctl show --no-pager -p ExecStart -p Environment -p EnvironmentFiles -p FragmentPath \
    -p DropInPaths -p NeedDaemonReload {ENGINE}) || exit
prefix() {{ while IFS= read -r line; do printf '%s %s\n' "$1" "$line"; done; }}
variables() {{
    printf '%s\n' "$environment" \
        | grep -oE "\"($names)=(\\\\.|[^\"\\\\])*\"|(^| )($names)=[^ \"]*" | prefix set
    grep -soHE "(^|[\"' =])($names)=" "$@" | prefix from
    for file in $files; do
        [ ! -r "$file" ] || sed -e :a -e '/\\$/N; s/\\\n//; ta' "$file" \
            | grep -E "^[[:space:]]*($names)=" | prefix "file $file"
    done
}}
unit() {{
    environment='' files='' names='' fragment='' drop_ins=''
    while IFS= read -r line; do
        value=${{line#*=}}
        case $line in
            Environment=*) environment=$value && continue ;;
            EnvironmentFiles=*) files="$files ${{value% (ignore_errors=*}}" ;;
            FragmentPath=*) fragment=$value ;;
            DropInPaths=*) drop_ins=$value ;;
            ExecStart=*'$'*)
                while value=${{value#*'$'}} && value=${{value#'{{'}}; do
                    case $value in [A-Za-z_]*) names="$names|${{value%%[!A-Za-z0-9_]*}}" ;; esac
                    case $value in *'$'*) ;; *) break ;; esac
                done ;;
        esac
        printf '%s\n' "$line"
    done <<END
$shown
END
    set -- $fragment $drop_ins
    [ $# -gt 0 ] || return
    grep -slE '^[[:space:]]*ExecStart[[:space:]]*=[[:space:]]*[^[:space:]]' "$@" | prefix in
    for path in /etc /run /usr/local/lib /usr/lib /lib; do
        for file in "$path"/systemd/system/{ENGINE}.d/*.conf; do
            [ ! -e "$file" ] || printf 'drop-in %s\n' "$file"
        done
    done
    names=${{names#|}}
    [ ! "$names" ] || variables "$@"
}}
unit | sed -E 's#://[^/@" ]*@#://***@#g; s/((token|passw[a-z]*|secret)[a-z_-]*=)[^" ]*/\1***/g'
"""
SET_IN = re.compile(r"^(.*):[\"' =]?(\w+)=$")
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
        command = _command(text)
        if command is None:
            return cls()
        words = command.split() or [""]
        program = words.pop(0)
        unread = tuple(_unread(text))
        if program.rpartition("/")[2] != PROGRAM:
            return cls(program, None, unread)
        variables = _Variables.read(text)
        lengths = (len(variables.of(match)) for match in VARIABLE.finditer(command))
        if sum(lengths) > MOST_CHARACTERS:
            raise NotRead(f"the command of {ENGINE} has more than {MOST_CHARACTERS} characters")
        return cls(program, tuple(_flags(words, variables)), unread)


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
                if place := SET_IN.match(rest):
                    files[place[2]] = place[1]
            elif kind == "file":  # read after Environment=, and wins
                path, _, assignment = rest.partition(" ")
                name, _, value = assignment.strip().partition("=")
                values[name], files[name] = _plain(value.strip()), path
        return cls(values, files, command)

    def of(self, match: re.Match[str]) -> str:
        return self.values.get(match[1] or match[2], "")


def _command(text: str) -> str | None:
    for line in text.splitlines():
        if line.startswith(COMMAND):
            _, start, rest = line.partition(ARGUMENTS)
            command, end, _ = rest.partition(END)
            if start and end:
                return command
    return None


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
            expanded += [(each, file) for each in shell_words(variables.of(match))]
        else:
            whole = VARIABLE.sub(variables.of, word)
            expanded.append((whole, variables.command))
    for flag in parse_flags([word for word, _ in expanded]):
        yield UnitFlag(flag, expanded[flag.at][1])
