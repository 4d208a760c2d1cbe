"""The commit that a branch or tag of a repository points to, read from its server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from gpuhost.appfile.source import Source
from gpuhost.release.local_command import LocalCommandError, run_local
from gpuhost.release.secrets import GivenSecrets

LIMIT_SECONDS = 30
COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
ABBREVIATED = re.compile(r"[0-9a-f]{7,39}")
MAX_LINES = 4
# git's message, and the fix. The first that matches.
FIXES = (
    (r"Host key verification failed", "add the server's line to source.known_hosts"),
    (r"Permission denied \(publickey", "set source.deploy_key to a secret with a key it accepts"),
    (r"could not read (Username|Password)|Authentication failed|HTTP 40[13]|error: 40[13]",
     "set source.token to a secret with a token that may read it"),
    (r"not found|does not exist|does not appear to be a git repository|error: 404",
     "check source.git, and whether source.token or source.deploy_key may read it"),
    (r"Could not resolve host|Name or service not known|unable to access|timed out|refused",
     "check source.git and the network of this machine"),
)  # fmt: skip
# A credential helper. The environment has only the path of the secret's file, not its value.
HELPER = '!f() { test "$1" = get && cat "$GPUHOST_CREDENTIAL"; }; f'


class BadGit(ValueError):
    """One sentence: what failed, with git's message, and what to do.

    + failed: without what to do, which names keys of the app file
    """

    def __init__(self, failed: str, fix: str = "") -> None:
        super().__init__(f"{failed}; {fix}" if fix else failed)
        self.failed = failed


def resolve_ref(source: Source, secrets: GivenSecrets) -> str:
    """The full commit of `source.ref`.

    Raises BadGit.
    """
    url, ref = source.git or "", source.ref
    _check_login(url, source)
    if COMMIT.fullmatch(ref):
        return ref
    names = ["HEAD"] if ref == "HEAD" else _full_names(ref)
    refs = _ls_remote(source, secrets, url, names)
    return _pick(url, ref, {name: refs[name] for name in names if name in refs})


def _full_names(ref: str) -> list[str]:
    if ref.startswith("refs/"):
        return [f"{ref}^{{}}", ref]
    # Peeled (^{}) first: an annotated tag is an object of its own.
    return [f"refs/heads/{ref}", f"refs/tags/{ref}^{{}}", f"refs/tags/{ref}"]


def _pick(url: str, ref: str, refs: dict[str, str]) -> str:
    if not refs:
        problem = f"{url} has no branch or tag {ref!r}"
        if ABBREVIATED.fullmatch(ref):
            raise BadGit(problem, "write a commit with all its 40 digits in source.ref")
        raise BadGit(problem, "check source.ref")
    branch = refs.pop(f"refs/heads/{ref}", None)
    # The peeled name is first, as in _full_names.
    tag = next(iter(refs.values()), None)
    if branch and tag and branch != tag:
        raise BadGit(
            f"{url} has a branch and a tag {ref!r}",
            f"write refs/heads/{ref} or refs/tags/{ref} in source.ref",
        )
    return branch or tag or ""


def _check_login(url: str, source: Source) -> None:
    by_http = urlsplit(url).scheme in ("http", "https")
    if source.token and not by_http:
        raise BadGit(f"source.token is for https, and source.git is {url}; use deploy_key")
    if source.deploy_key and by_http:
        raise BadGit(f"source.deploy_key is for ssh, and source.git is {url}; use token")


def _ls_remote(source: Source, secrets: GivenSecrets, url: str, names: list[str]) -> dict[str, str]:
    """Which of these names the server has, with their commits. Raises BadGit."""
    with login(source, secrets, url) as (options, environment):
        command = ["git", *options, "ls-remote", "--", url, *names]
        try:
            result = run_local(command, seconds=LIMIT_SECONDS, environment=environment)
        except LocalCommandError as error:
            raise failure(f"git ls-remote {url}", str(error), secrets) from None
    if result.status:
        raise failure(f"git ls-remote {url}", result.err or f"exit {result.status}", secrets)
    pairs = (line.split("\t") for line in result.out.decode("utf-8", "replace").splitlines())
    return {pair[1]: pair[0] for pair in pairs if len(pair) == 2 and COMMIT.fullmatch(pair[0])}


def failure(what: str, message: str, secrets: GivenSecrets) -> BadGit:
    """An error with git's own words, without secrets, and the fix."""
    message = secrets.masked(message)
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return BadGit(f"{what}: {'; '.join(lines[:MAX_LINES])}", _fix(message))


def _fix(message: str) -> str:
    if "command git not found" in message:
        return "install git, or write source.ref as a full commit"
    if "no result" in message:
        return "check source.git and the network of this machine"
    fixes = (fix for pattern, fix in FIXES if re.search(pattern, message, re.IGNORECASE))
    return next(fixes, "check source.git and source.ref")


@contextmanager
def login(
    source: Source, secrets: GivenSecrets, url: str
) -> Iterator[tuple[list[str], dict[str, str]]]:
    """git's options and environment. Secrets are in files of a private temporary directory."""
    with TemporaryDirectory(prefix="gpuhost-git-") as directory:
        home = Path(directory)
        options = ["-c", "core.askPass="]
        environment = {
            "LC_ALL": "C",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "",
            "SSH_ASKPASS": "",
            "GIT_ALLOW_PROTOCOL": "http:https:ssh",
            "GIT_SSH_COMMAND": _ssh_command(source, secrets, home),
        }
        if (token := secrets.reveal(source.token)) is not None:
            _private(home / "credential", f"username={source.user}\npassword={token}\n")
            environment["GPUHOST_CREDENTIAL"] = str(home / "credential")
            # For that server only; no other helper may answer or store it.
            options += [
                "-c",
                "credential.helper=",
                "-c",
                f"credential.{_server(url)}.helper={HELPER}",
            ]
        yield options, environment


def _server(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _ssh_command(source: Source, secrets: GivenSecrets, home: Path) -> str:
    words = ["ssh", "-oBatchMode=yes", "-oConnectTimeout=15"]
    # Neither use a shared connection of the user, nor leave one open.
    words += ["-oControlMaster=no", "-oControlPath=none"]
    if (key := secrets.reveal(source.deploy_key)) is not None:
        # OpenSSH needs a final newline, and no Windows line ends.
        _private(home / "key", key.replace("\r\n", "\n").rstrip("\n") + "\n")
        words += ["-i", str(home / "key"), "-oIdentitiesOnly=yes", "-oIdentityAgent=none"]
    if source.known_hosts:
        _private(home / "known_hosts", "\n".join(source.known_hosts) + "\n")
        words += [f"-oUserKnownHostsFile={home / 'known_hosts'}", "-oStrictHostKeyChecking=yes"]
    else:
        words += ["-oStrictHostKeyChecking=accept-new"]
    return " ".join(map(quote, words))


def _private(file: Path, text: str) -> None:
    file.touch(mode=0o600)
    file.write_text(text, encoding="utf-8")
