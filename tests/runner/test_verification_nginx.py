"""Verify steps that are repeated through nginx."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gpuhost.runner.plan import Nginx
from gpuhost.runner.stages.verification import verify
from gpuhost.runner.state.release import Release
from tests.runner.host_fixtures import App, Programs, app, programs
from tests.runner.site import Site, certificate, free_port, serve
from tests.runner.verification_fixtures import (
    COMMAND,
    LOG,
    a_release,
    asking,
    failure,
    quick,
    site,
)

__all__ = ["app", "programs", "quick", "site"]


def behind(release: Release, site: Site, chain: Path | None, name: str) -> Release:
    """The release with a site on nginx; the test's server is that nginx."""
    nginx = Nginx("host", path="/nowhere.conf", server_names=(name,))
    if chain:
        nginx = replace(nginx, certificate="files", certificate_dir=str(chain.parent))
    release.plan = replace(release.plan, nginx=nginx)
    return release


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_requests_are_repeated_through_nginx(
    app: App, programs: Programs, tmp_path: Path, tls: bool
) -> None:
    chain, key = certificate(tmp_path / "tls", "app.example.invalid") if tls else (None, None)
    with serve(chain, key) as nginx:
        nginx.says("/health?a=b", "good")
        at_nginx = f"{nginx.scheme}://app.example.invalid:{nginx.port}"
        steps = [asking("http://127.0.0.1:1/health?a=b", through=at_nginx), COMMAND, LOG]
        steps.append(asking("http://127.0.0.1:1/not-at-nginx"))
        verify(behind(a_release(app, *steps), nginx, chain, "app.example.invalid"), through=True)
    (asked,) = nginx.asked
    assert (asked.path, asked.headers["Host"]) == (
        "/health?a=b",
        f"app.example.invalid:{nginx.port}",
    )
    assert not programs.called("exec")


def test_a_site_for_any_name_accepts_a_certificate_for_another_name(
    app: App, programs: Programs, tmp_path: Path
) -> None:
    chain, key = certificate(tmp_path / "tls", "app.example.invalid")
    with serve(chain, key) as nginx:
        nginx.says("/", "good")
        step = asking("http://127.0.0.1:1/", through=f"https://localhost:{nginx.port}")
        release = a_release(app, step)
        verify(behind(release, nginx, chain, "_"), through=True)
        assert "not valid" in failure(behind(release, nginx, chain, "localhost"), through=True).said
        other, _ = certificate(tmp_path / "other", "app.example.invalid")
        assert "not valid" in failure(behind(release, nginx, other, "_"), through=True).said
    assert len(nginx.asked) == 1


@pytest.mark.parametrize(
    ("status", "fix"), [(413, "nginx.max_body"), (502, "nginx.upstream"), (504, "nginx.timeout_s")]
)
def test_errors_of_nginx_name_their_setting(
    app: App, programs: Programs, site: Site, status: int, fix: str
) -> None:
    site.says("/", "<h1>nginx</h1>", status)
    step = asking("http://127.0.0.1:1/", through=site.url().rstrip("/"))
    failed = failure(behind(a_release(app, step), site, None, "_"), through=True)
    assert failed.said.startswith("verify it answers, through nginx: ")
    assert fix in failed.fix


def test_nginx_does_not_listen(app: App, programs: Programs, site: Site) -> None:
    step = asking(site.url(), through=f"http://127.0.0.1:{free_port()}")
    failed = failure(behind(a_release(app, step), site, None, "_"), through=True)
    assert "systemctl status nginx" in failed.fix
    assert not site.asked


def test_nginx_has_another_certificate(app: App, programs: Programs, tmp_path: Path) -> None:
    ours, _ = certificate(tmp_path / "ours", "app.example.invalid")
    with serve(*certificate(tmp_path / "old", "app.example.invalid")) as nginx:
        step = asking("http://127.0.0.1:1/", through=f"https://app.example.invalid:{nginx.port}")
        failed = failure(
            behind(a_release(app, step), nginx, ours, "app.example.invalid"), through=True
        )
    assert "the certificate is not valid" in failed.said
