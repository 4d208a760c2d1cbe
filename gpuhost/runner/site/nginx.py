"""The app's site on nginx: the host's own, or one that runs in a container of the app.

nginx judges a configuration before it is used. What it refuses never stays, and the site of before
is kept until the next switch.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from gpuhost.runner.lib.commands import Outcome, try_run
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import write
from gpuhost.runner.site import certificates, container_nginx
from gpuhost.runner.site.nginx_sites import Claim, claims, clash
from gpuhost.runner.site.nginx_state import Files, State
from gpuhost.runner.state.release import Release

STOCK = Path("/etc/nginx/sites-enabled/default")
QUICK = 60


def check(release: Release) -> None:
    """Before anything changes: nginx is there and sound, and nobody else has the site's names.

    Raises Failure.
    """
    if not _is_on_host(release):
        return
    printed = try_run(release.log, "nginx", "-T", seconds=QUICK, quiet=True)
    if printed.status == 127:
        raise Failure("nginx is not installed on this host", fix="run deploys/gpu_host.py")
    path = _path(release)
    if not printed.ok and str(path) not in "\n".join(printed.tail):
        raise Failure(
            "nginx's configuration is broken already, not by this release",
            output=printed.tail,
            fix="mend it until nginx -t is content",
        )
    ours = claims(release.paths.nginx.read_text(encoding="utf-8"), str(path))
    other = _clash(release, ours, claims(printed.out))
    if other:
        raise Failure(
            f"{other} is taken by another site of this nginx: {other.file}",
            fix="take that site away, or give this one another name or port (nginx.server_names)",
        )
    _ports_are_free(release, ours)


def place(release: Release) -> None:
    """Before `up`: what a container's nginx reads when it starts; nothing for the host's."""
    if release.plan.nginx and release.plan.nginx.where == "container":
        container_nginx.place(release)


def switch(release: Release) -> None:
    """The release's site in place of the one before, or of none. Again: nothing is reloaded.

    Raises Failure, in nginx's own words, with the previous site restored.
    """
    if release.plan.nginx and release.plan.nginx.where == "container":
        _forget_host_site(release)
        container_nginx.switch(release)
    elif release.plan.nginx is None:
        _forget_host_site(release)
    else:
        _switch_host(release)


def remove(release: Release) -> None:
    """No site of the app is left on the host's nginx. Raises Failure."""
    _forget_host_site(release)


def _is_on_host(release: Release) -> bool:
    return release.plan.nginx is not None and release.plan.nginx.where == "host"


def _path(release: Release) -> Path:
    assert release.plan.nginx is not None
    return Path(release.plan.nginx.path)


def _switch_host(release: Release) -> None:
    site = release.plan.nginx
    assert site is not None
    is_due = site.certificate == "acme" and certificates.is_to_be_fetched(release)
    files = None if is_due else _wanted(release)
    if files and _is_taken_up(release, files):
        release.log.write("nginx: the previous site is restored")
        return
    # Hours may have gone by since the preflight.
    check(release)
    if files is None:
        _answer_challenges(release)
        certificates.fetch(release)
        files = _wanted(release)
    _apply(release, files)


def _wanted(release: Release) -> Files:
    text = release.paths.nginx.read_text(encoding="utf-8")
    return {_path(release): text, **certificates.files(release)}


def _is_taken_up(release: Release, files: Files) -> bool:
    is_loaded = State.of(release).loaded == _digest(files)
    return is_loaded and not _differing(files) and _is_active(release)


def _answer_challenges(release: Release) -> None:
    """Port 80 answers certbot's questions; a site that does so already is left as it is."""
    path = _path(release)
    challenge = "/.well-known/acme-challenge/"
    if not path.exists() or challenge not in path.read_text(encoding="utf-8"):
        text = release.paths.nginx.read_text(encoding="utf-8")
        _apply(release, {path: certificates.challenge_site(release, text)})


def _apply(release: Release, files: Files) -> None:
    """Write the files, have nginx judge them and take them up; or put everything back."""
    old: Files = {path: _read(path) for path in files}
    State.of(release).loading(_path_of_site(files))
    _write(files)
    tested = try_run(release.log, "nginx", "-t", seconds=QUICK)
    if not tested.ok:
        _write(old)
        raise Failure(f"nginx refuses the site: {_complaint(tested)}", output=tested.tail)
    taken = _reload(release)
    if not taken.ok:
        _write(old)
        _reload(release)
        journal = try_run(
            release.log, "journalctl", "-u", "nginx", "-n", "10", "--no-pager", seconds=30
        )
        raise Failure("nginx did not load the site", output=(*taken.tail, *journal.tail))
    State.of(release).is_loaded(_digest(files))


def _forget_host_site(release: Release) -> None:
    path = State.of(release).path
    if path is None or not path.exists():
        return
    _write({path: None})
    release.log.write(f"nginx: {path} is removed")
    if try_run(release.log, "nginx", "-t", seconds=QUICK).ok:
        _reload(release)


def _reload(release: Release) -> Outcome:
    verb = "reload" if _is_active(release) else "start"
    return try_run(release.log, "systemctl", verb, "nginx", seconds=90)


def _is_active(release: Release) -> bool:
    words = ("systemctl", "is-active", "--quiet", "nginx")
    return try_run(release.log, *words, seconds=30, quiet=True).ok


def _ports_are_free(release: Release, ours: tuple[Claim, ...]) -> None:
    """nginx would keep its old configuration, and say so in its own log only."""
    for port in dict.fromkeys(claim.port for claim in ours):
        words = ("ss", "-Hltnp", f"sport = :{port}")
        for line in try_run(release.log, *words, seconds=30, quiet=True).out.splitlines():
            if "users:" in line and '"nginx"' not in line:
                who = line.partition("users:")[2].strip("()").split(",")[0].strip('"')
                raise Failure(
                    f"port {port} is taken by {who}, nginx cannot listen there",
                    fix=f"stop {who}, or give the site another port (nginx.port, nginx.tls_port)",
                )


def _clash(release: Release, ours: tuple[Claim, ...], others: tuple[Claim, ...]) -> Claim | None:
    """The distribution's own welcome page gives way, as long as nobody made a site of it."""
    own, stock = (str(_path(release)),), (str(STOCK), str(STOCK.resolve()))
    other = clash(ours, others, own)
    if other is None or other.file not in stock:
        return other
    words = ("dpkg", "--verify", "nginx-common")
    changed = try_run(release.log, *words, seconds=30, quiet=True).out
    if any(path in changed for path in stock):
        return other
    return clash(ours, others, (*own, *stock))


def _complaint(tested: Outcome) -> str:
    lines = [line for line in tested.tail if "[emerg]" in line] or list(tested.tail[-1:])
    return lines[0] if lines else "it gave no reason"


def _differing(files: Files) -> list[Path]:
    return [path for path, text in files.items() if _read(path) != text]


def _path_of_site(files: Files) -> Path:
    return next(path for path in files if path.suffix == ".conf")


def _digest(files: Files) -> str:
    digest = hashlib.sha256()
    for path, text in sorted(files.items()):
        digest.update(f"{path}\0{text}\0".encode())
    return digest.hexdigest()


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def _write(files: Files) -> None:
    for path, text in files.items():
        if text is None:
            path.unlink(missing_ok=True)
        elif _read(path) != text:
            is_site = path.suffix == ".conf"
            path.parent.mkdir(mode=0o755 if is_site else 0o700, parents=True, exist_ok=True)
            write(path, text, mode=0o644 if is_site else 0o600)
