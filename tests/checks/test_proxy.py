"""A proxy's password is only in the files on the host."""

from __future__ import annotations

from pathlib import Path

import yaml

from gpuhost.checks.registry import run_checks
from gpuhost.settings import Settings
from gpuhost.settings.merge import BadSettings, Layer, merge_layers
from tests.recorded import snapshot_of

CASES = Path(__file__).parent / "cases" / "proxy.yaml"
PASSWORD = "s3cret"


def test_no_finding_shows_the_password() -> None:
    shown = 0
    for case in yaml.safe_load(CASES.read_text("utf-8")):
        settings = merge_layers([Layer("the case", case.get("settings", {}))])
        shown += PASSWORD in (settings.proxy_http or "")
        findings = run_checks(snapshot_of(case), settings)
        assert PASSWORD not in repr([finding.to_json() for finding in findings]), case["name"]
    assert shown == 17


def test_settings_do_not_print_the_password() -> None:
    settings = Settings(
        proxy_http=f"http://gpu:{PASSWORD}@p:1", proxy_https=f"http://a:{PASSWORD}@p"
    )
    assert PASSWORD not in repr(settings) + str(settings)


def test_an_error_about_a_proxy_does_not_print_the_password() -> None:
    for wrong in (f"ftp://gpu:{PASSWORD}@p:1", f"http://gpu:a'{PASSWORD}@p:1", f"gpu:{PASSWORD}@p"):
        try:
            merge_layers([Layer("the inventory", {"proxy_http": wrong})])
        except BadSettings as error:
            assert PASSWORD not in str(error)
            assert "must be a URL" in str(error)
        else:
            raise AssertionError(f"{wrong} passed")
