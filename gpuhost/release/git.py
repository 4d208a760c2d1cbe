"""The commit that a branch or a tag of a repository stands for now, asked of its server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from gpuhost.appfile.source import Source
from gpuhost.release.local_command import NotRun, run_here
from gpuhost.release.secrets import Given

SECONDS = 30
COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
ABBREVIATED = re.compile(r"[0-9a-f]{7,39}")
MOST_SAID = 4
# What git says, and what a person does about it. The first that fits.
REMEDIES = (
    (r"Host key verification failed", "add the server's line to source.known_hosts"),
    (r"Permission denied \(publickey", "give source.deploy_key, the secret with a key it knows"),
    (r"could not read (Username|Password)|Authentication failed|HTTP 40[13]|error: 40[13]",
     "give source.token, the secret with a token that may read it"),
    (r"not found|does not exist|does not appear to be a git repository|error: 404",
     "check source.git, and whether source.token or source.deploy_key may read it"),
    (r"Could not resolve host|Name or service not known|unable to access|timed out|refused",
     "check source.git and the network of this machine"),
)  # fmt: skip
# How one logs in by a secret; the path of its file is in the environment, the value nowhere.
HELPER = '!f() { test "$1" = get && cat "$GPUHOST_CREDENTIAL"; }; f'


class BadGit(ValueError):
    """One sentence: what cannot be had, in git's words, and what to do."""


def resolve(source: Source, given: Given) -> str:
    """The full commit of `source.ref`.

    Raises BadGit.
    """
    url, ref = source.git or "", source.ref
    _check_login(url, source)
    if COMMIT.fullmatch(ref):
        return ref
    asked = ["HEAD"] if ref == "HEAD" else _full_names(ref)
    refs = _listed(source, given, url, asked)
    return _chosen(url, ref, {name: refs[name] for name in asked if name in refs})


def _full_names(ref: str) -> list[str]:
    if ref.startswith("refs/"):
        return [f"{ref}^{{}}", ref]
    # Peeled before as it stands: an annotated tag is an object of its own.
    return [f"refs/heads/{ref}", f"refs/tags/{ref}^{{}}", f"refs/tags/{ref}"]


def _chosen(url: str, ref: str, found: dict[str, str]) -> str:
    if not found:
        words = f"{url} has no branch or tag {ref!r}"
        if ABBREVIATED.fullmatch(ref):
            raise BadGit(f"{words}; a commit is given with all its 40 digits in source.ref")
        raise BadGit(f"{words}; check source.ref")
    branch = found.pop(f"refs/heads/{ref}", None)
    # Peeled first: dictionaries keep the order in which was asked.
    tag = next(iter(found.values()), None)
    if branch and tag and branch != tag:
        raise BadGit(
            f"{url} has a branch and a tag {ref!r}; write refs/heads/{ref} or refs/tags/{ref} "
            "in source.ref"
        )
    return branch or tag or ""


def _check_login(url: str, source: Source) -> None:
    by_http = urlsplit(url).scheme in ("http", "https")
    if source.token and not by_http:
        raise BadGit(f"source.token goes with https, and source.git is {url}; use deploy_key")
    if source.deploy_key and by_http:
        raise BadGit(f"source.deploy_key goes with ssh, and source.git is {url}; use token")


def _listed(source: Source, given: Given, url: str, names: list[str]) -> dict[str, str]:
    """What the server has of these names. Raises BadGit."""
    with _login(source, given, url) as (options, environment):
        command = ["git", *options, "ls-remote", "--", url, *names]
        try:
            ended = run_here(command, seconds=SECONDS, environment=environment)
        except NotRun as why:
            raise BadGit(f"git ls-remote {url}: {why}; {_what_to_do(str(why))}") from None
    if ended.status:
        said = given.masked(ended.err)
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        words = "; ".join(lines[:MOST_SAID]) or f"exit {ended.status}"
        raise BadGit(f"git ls-remote {url}: {words}; {_what_to_do(said)}")
    pairs = (line.split("\t") for line in ended.out.decode("utf-8", "replace").splitlines())
    return {pair[1]: pair[0] for pair in pairs if len(pair) == 2 and COMMIT.fullmatch(pair[0])}


def _what_to_do(said: str) -> str:
    if "no command git" in said:
        return "install git, or give source.ref as a whole commit"
    if "did not end" in said:
        return "check source.git and the network of this machine"
    found = (what for pattern, what in REMEDIES if re.search(pattern, said, re.IGNORECASE))
    return next(found, "check source.git and source.ref")


@contextmanager
def _login(source: Source, given: Given, url: str) -> Iterator[tuple[list[str], dict[str, str]]]:
    """git's options and environment. Secrets lie in files of a private directory meanwhile."""
    with TemporaryDirectory(prefix="gpuhost-git-") as directory:
        home = Path(directory)
        options = ["-c", "core.askPass="]
        environment = {
            "LC_ALL": "C",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "",
            "SSH_ASKPASS": "",
            "GIT_ALLOW_PROTOCOL": "http:https:ssh",
            "GIT_SSH_COMMAND": _ssh(source, given, home),
        }
        if (token := given.reveal(source.token)) is not None:
            _private(home / "credential", f"username={source.user}\npassword={token}\n")
            environment["GPUHOST_CREDENTIAL"] = str(home / "credential")
            # For that server only, and no other helper may answer or keep it.
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


def _ssh(source: Source, given: Given, home: Path) -> str:
    words = ["ssh", "-oBatchMode=yes", "-oConnectTimeout=15"]
    # Otherwise a connection of its own user's is shared, or left behind.
    words += ["-oControlMaster=no", "-oControlPath=none"]
    if (key := given.reveal(source.deploy_key)) is not None:
        # OpenSSH reads no key whose last line does not end, and none with Windows line ends.
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
