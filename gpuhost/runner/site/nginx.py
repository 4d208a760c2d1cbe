"""The app's site on nginx: the host's, or one in a container of the app.

Every configuration is tested before use. If nginx refuses it, the previous one is restored.
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
    """Before any change: nginx works, and no other site has the same names.

    Raises Failure.
    """
    if not _is_on_host(release):
        return
    dump = try_run(release.log, "nginx", "-T", seconds=QUICK, quiet=True)
    if dump.status == 127:
        raise Failure("nginx is not installed on this host", fix="run deploys/gpu_host.py")
    path = _path(release)
    if not dump.ok and str(path) not in "\n".join(dump.tail):
        raise Failure(
            "nginx's configuration is invalid already, not by this release",
            output=dump.tail,
            fix="repair it until nginx -t succeeds",
        )
    ours = claims(release.paths.nginx.read_text(encoding="utf-8"), str(path))
    other = _clash(release, ours, claims(dump.out))
    if other:
        raise Failure(
            f"{other} is used by another site of this nginx: {other.file}",
            fix=f"move {other.file} out of nginx's configuration, or set another name or port for "
            "this site (nginx.server_names)",
        )
    _require_free_ports(release, ours)


def place(release: Release) -> None:
    """Before `up`: write the files that a container's nginx reads at its start."""
    if release.plan.nginx and release.plan.nginx.where == "container":
        container_nginx.place(release)


def switch(release: Release) -> None:
    """Replace the previous site, if any, by the release's. Again: no reload.

    Raises Failure with nginx's message; then the previous site is restored.
    """
    if release.plan.nginx and release.plan.nginx.where == "container":
        _remove_host_site(release)
        container_nginx.switch(release)
    elif release.plan.nginx is None:
        _remove_host_site(release)
    else:
        _switch_host(release)


def remove(release: Release) -> None:
    """Remove the app's site from the host's nginx. Raises Failure."""
    _remove_host_site(release)


def _is_on_host(release: Release) -> bool:
    return release.plan.nginx is not None and release.plan.nginx.where == "host"


def _path(release: Release) -> Path:
    assert release.plan.nginx is not None
    return Path(release.plan.nginx.path)


def _switch_host(release: Release) -> None:
    site = release.plan.nginx
    assert site is not None
    must_fetch = site.certificate == "acme" and certificates.must_fetch(release)
    files = None if must_fetch else _site_files(release)
    if files and _is_loaded(release, files):
        release.log.write("nginx: the site is already loaded")
        return
    # The preflight may be hours ago.
    check(release)
    if files is None:
        _answer_challenges(release)
        certificates.fetch(release)
        files = _site_files(release)
    _apply(release, files)


def _site_files(release: Release) -> Files:
    text = release.paths.nginx.read_text(encoding="utf-8")
    return {_path(release): text, **certificates.files(release)}


def _is_loaded(release: Release, files: Files) -> bool:
    is_same = State.of(release).loaded == _digest(files)
    return is_same and not _changed_files(files) and _is_active(release)


def _answer_challenges(release: Release) -> None:
    """Make port 80 answer certbot's challenges, unless the present site does."""
    path = _path(release)
    challenge = "/.well-known/acme-challenge/"
    if not path.exists() or challenge not in path.read_text(encoding="utf-8"):
        text = release.paths.nginx.read_text(encoding="utf-8")
        _apply(release, {path: certificates.challenge_site(release, text)})


def _apply(release: Release, files: Files) -> None:
    """Write the files, test and load them; on an error restore the previous ones."""
    old: Files = {path: _read(path) for path in files}
    State.of(release).set_loading(_path_of_site(files))
    _write(files)
    tested = try_run(release.log, "nginx", "-t", seconds=QUICK)
    if not tested.ok:
        _write(old)
        raise Failure(f"nginx refuses the site: {_error_line(tested)}", output=tested.tail)
    reloaded = _reload(release)
    if not reloaded.ok:
        _write(old)
        _reload(release)
        journal = try_run(
            release.log, "journalctl", "-u", "nginx", "-n", "10", "--no-pager", seconds=30
        )
        raise Failure("nginx did not load the site", output=(*reloaded.tail, *journal.tail))
    State.of(release).set_loaded(_digest(files))


def _remove_host_site(release: Release) -> None:
    path = State.of(release).path
    if path is None or not path.exists():
        return
    _write({path: None})
    release.log.write(f"nginx: {path} removed")
    if try_run(release.log, "nginx", "-t", seconds=QUICK).ok:
        _reload(release)


def _reload(release: Release) -> Outcome:
    verb = "reload" if _is_active(release) else "start"
    return try_run(release.log, "systemctl", verb, "nginx", seconds=90)


def _is_active(release: Release) -> bool:
    words = ("systemctl", "is-active", "--quiet", "nginx")
    return try_run(release.log, *words, seconds=30, quiet=True).ok


def _require_free_ports(release: Release, ours: tuple[Claim, ...]) -> None:
    """With a used port nginx keeps its old configuration, and reports this only in its log."""
    for port in dict.fromkeys(claim.port for claim in ours):
        words = ("ss", "-Hltnp", f"sport = :{port}")
        for line in try_run(release.log, *words, seconds=30, quiet=True).out.splitlines():
            if "users:" in line and '"nginx"' not in line:
                program = line.partition("users:")[2].strip("()").split(",")[0].strip('"')
                raise Failure(
                    f"port {port} is used by {program}: nginx cannot listen on it",
                    fix=f"stop {program}, or set another port (nginx.port, nginx.tls_port)",
                )


def _clash(release: Release, ours: tuple[Claim, ...], others: tuple[Claim, ...]) -> Claim | None:
    """Ignore the distribution's default site, unless it was changed."""
    own, stock = (str(_path(release)),), (str(STOCK), str(STOCK.resolve()))
    other = clash(ours, others, own)
    if other is None or other.file not in stock:
        return other
    words = ("dpkg", "--verify", "nginx-common")
    changed = try_run(release.log, *words, seconds=30, quiet=True).out
    if any(path in changed for path in stock):
        return other
    return clash(ours, others, (*own, *stock))


def _error_line(tested: Outcome) -> str:
    lines = [line for line in tested.tail if "[emerg]" in line] or list(tested.tail[-1:])
    return lines[0] if lines else "no reason given"


def _changed_files(files: Files) -> list[Path]:
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
