"""Sites that nginx would refuse or misread, and sites that it accepts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.appfile.files import app_of, problems

SITE = "x-gpuhost.nginx"
UPSTREAM = 'an address, such as "127.0.0.1:3000"'

REFUSED: list[tuple[str, str]] = [
    ("paths: {'~ /(': {}}", "paths.~ /(: the name must be a valid regular expression"),
    ("paths: {'~* /a)': {}}", "paths.~* /a): the name must be a valid regular expression"),
    ("paths: {'~ /[a': {}}", "paths.~ /[a: the name must be a valid regular expression"),
    ("paths: {'~ /[b-a]': {}}", "paths.~ /[b-a]: the name must be a valid regular expression"),
    (
        "paths: {'~ /(?<x>a|*)': {}}",
        "paths.~ /(?<x>a|*): the name must be a valid regular exp",
    ),
    ("paths: {/a: {}, ^~ /a: {}}", "paths: /a and ^~ /a are the same location for nginx; keep one"),
    (
        "upstream: '127.0.0.1:99999'",
        "upstream = '127.0.0.1:99999': the port must be a number",
    ),
    (
        "upstream: '127.0.0.1:0'",
        "upstream = '127.0.0.1:0': the port must be a number",
    ),
    ("upstream: '127.0.0.1:٣٠'", f"upstream = '127.0.0.1:٣٠': {UPSTREAM}"),
    ("upstream: 'a:1:2'", f"upstream = 'a:1:2': {UPSTREAM}"),
    (
        "paths: {/a: {upstream: 'localhost:65536'}}",
        "paths./a.upstream = 'localhost:65536': the port must be a number from 1 to 65535",
    ),
    *(
        (f"server_names: ['{name}']", f"server_names[0] = '{name}': a server name")
        for name in ("*", "a..b", "a.*.b", "*a.b", "a.b*", "*.a.*", ".", "-*", "a.b.", "é.example")
    ),
    ("server_names: [a.b, A.b]", "server_names = a list: a.b is given twice"),
    ("max_body: '٥m'", "max_body = '٥m': a size, such as"),
    ("max_body: 99999999999999999999g", "max_body = '99999999999999999999g': a size, such as"),
    ("rate_per_s: 10000000000", "rate_per_s = 10000000000: a whole number, at least 1, at most 1"),
    ("burst: 10000000000", "burst = 10000000000: a whole number, at least 0, at most 1000000"),
    ("timeout_s: 99999999999999", "timeout_s = 99999999999999: a whole number, at least 1, at mo"),
]


def _block(site: str) -> str:
    upstream = "" if site.startswith("upstream:") else "upstream: '127.0.0.1:3000', "
    return f"nginx: {{{upstream}{site}}}"


@pytest.mark.parametrize(("site", "said"), REFUSED, ids=[site for site, _ in REFUSED])
def test_refused(site: str, said: str, tmp_path: Path) -> None:
    (line,) = problems(tmp_path, _block(site))
    assert line.startswith(f"2: {SITE}.{said}")


@pytest.mark.parametrize(
    "site",
    [
        # Patterns that Python cannot read are left to nginx.
        r"paths: {'~ /(?<x>a|b)\.\w*$$': {}, '~ /(?i)a++\K[[:alpha:]]\z': {}, '~ /語': {}}",
        "paths: {/a: {}, = /a: {}, ~ /a: {}, '~* /a': {}, /a/: {}}",
        "paths: {'/(': {}, '= /[': {}, '^~ /*': {}}",
        "upstream: 'a_b.c-d:65535'",
        "server_names: [_, a, A.b, '*.a.b', .a.b, 'a.b.*', xn--bcher-kva.example, 10.0.0.1]",
        "max_body: '0'",
        "max_body: '10737418240'",
        "max_body: 999999999G",
    ],
)
def test_allowed(site: str, tmp_path: Path) -> None:
    assert app_of(tmp_path, _block(site)).block.nginx is not None
