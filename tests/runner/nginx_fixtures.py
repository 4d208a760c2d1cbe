"""A host with a fake nginx, and releases that have a site on it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Nginx
from gpuhost.runner.site import certificates, nginx
from gpuhost.runner.state.release import Release
from tests.runner.host_fixtures import NEW, App, Programs

NAME = "app.example.invalid"
TEXT = """\
server {
    listen 80;
    server_name NAME;
    location ^~ /.well-known/acme-challenge/ {
        root "/var/lib/gpuhost/acme";
    }
    location / { return 301 https://$host$request_uri; }
}
server {
    listen 443 ssl http2;
    server_name NAME;
    # RELEASE
}
""".replace("NAME", NAME)
RELOAD, START = "systemctl reload nginx", "systemctl start nginx"
ACME = {"certificate": "acme", "email": "ada@example.invalid"}


@dataclass
class Host:
    directory: Path
    programs: Programs

    @property
    def site(self) -> Path:
        return self.directory / "conf.d" / "gpuhost-app.conf"

    @property
    def tls(self) -> Path:
        return self.directory / "tls" / "app"

    @property
    def live(self) -> Path:
        return self.directory / "live"

    def reloads(self) -> list[str]:
        calls = self.programs.calls
        return [call for call in calls if call.startswith("systemctl ") and "is-active" not in call]

    def refuses(self, word: str) -> None:
        """nginx rejects a site with this word in it."""
        complaint = f'nginx: [emerg] unknown directive "{word}" in {self.site}:1'
        self.programs.answer(
            "nginx -t",
            then=f"grep -q {word} {self.site} && {{ echo '{complaint}'; exit 1; }}",
        )

    def has_other_sites(self, text: str, file: str = "/etc/nginx/sites-enabled/shop") -> None:
        self.programs.answer("nginx -T", f"# configuration file {file}:\n{text}\n")


@pytest.fixture
def host(tmp_path: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr(certificates, "LIVE", tmp_path / "live")
    monkeypatch.setattr(certificates, "CHALLENGES", tmp_path / "acme")
    for program in ("nginx", "systemctl", "ss", "dpkg", "certbot", "journalctl"):
        programs.answer(f"{program} nothing")
    return Host(tmp_path, programs)


def a_release(
    app: App, host: Host, release_id: str = NEW, *, text: str = TEXT, given: Any = None, **site: Any
) -> Release:
    plan = Nginx(**{"where": "host", "path": str(host.site), "server_names": (NAME,), **site})
    if plan.certificate:
        plan = Nginx(
            **{**vars(plan), "certificate_dir": site.get("certificate_dir", str(host.tls))}
        )
    release = app.release(release_id, nginx=plan, given=given)
    release.paths.nginx.write_text(text.replace("RELEASE", release_id))
    return release


def failure(release: Release) -> Failure:
    with pytest.raises(Failure) as raised:
        nginx.switch(release)
    return raised.value
