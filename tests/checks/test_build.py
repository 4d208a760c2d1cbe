"""The cache for apt inside builds, on hosts with the rendered files, and with one difference."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from gpuhost.checks.host.build import apt_cache
from gpuhost.domain.apt.mirrors import ALL_HOSTS, HOSTS
from gpuhost.plans.apt_cache import (
    LATE,
    MIRRORS,
    PATHS,
    SCRIPT,
    UNIT,
    build_arguments,
    build_proxy,
    host_files,
    mirrors,
)
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from tests.recorded import snapshot_of

AUTO = Settings(apt_mirror="auto")
GATEWAY = "172.17.0.1"
CHANGED, STARTED = 1795299407, "Sat 2026-11-21 23:00:00 UTC"


def a_host(
    settings: Settings = AUTO,
    *,
    changed: dict[str, str] | None = None,
    modes: dict[str, str] | None = None,
    without: str = "",
    owner: str = "root",
    address: str = GATEWAY,
    **unit: str,
) -> Snapshot:
    """A host where the cache is as declared, except for the arguments.

    + changed: contents by path; without: a path that is missing; address: docker0's
    """
    texts = {f.path: f.content for f in host_files(settings, GATEWAY) if f.path != without}
    texts |= changed or {}
    digests = {path: hashlib.sha256(text.encode()).hexdigest() for path, text in texts.items()}
    states = {path: (modes or {}).get(path, "755" if path == SCRIPT else "644") for path in texts}
    values = {"ActiveState": "active", "UnitFileState": "enabled"}
    values |= {"ActiveEnterTimestamp": STARTED, **unit}
    return snapshot_of(
        {
            "host": "debian13-docker",
            "probes": {
                "addresses": {"out": f"3: docker0    inet {address}/16 brd 172.17.255.255\n"},
                "packages": {"out": "ii \tapt-cacher-ng\t3.7.5-1\tamd64\n"},
                "units": {
                    "out": f"Id={UNIT}\nLoadState=loaded\n"
                    + "".join(f"{key}={value}\n" for key, value in values.items())
                },
                "stat": {
                    "rc": 0,
                    "out": "".join(
                        f"{mode} {owner} root 10 {CHANGED} regular file {path}\n"
                        for path, mode in states.items()
                    ),
                },
                "hashes": {
                    "rc": 0,
                    "out": "".join(f"{digest}  {path}\n" for path, digest in digests.items()),
                },
            },
        }
    )


def test_as_declared() -> None:
    finding = apt_cache.find(a_host(), AUTO)
    assert (finding.status.value, finding.actual) == ("ok", "on 172.17.0.1:3142")


BROKEN: list[Any] = [
    pytest.param({"changed": {LATE: "Port: 80\n"}}, LATE, id="changed by hand"),
    pytest.param({"modes": {SCRIPT: "777"}}, SCRIPT, id="the script is writable by all"),
    pytest.param({"modes": {SCRIPT: "644"}}, SCRIPT, id="not executable"),
    pytest.param({"owner": "ubuntu"}, SCRIPT, id="another owner"),
    pytest.param({"without": MIRRORS}, MIRRORS, id="a file is missing"),
    pytest.param({"address": "172.18.0.1"}, LATE, id="docker0 has another address"),
    pytest.param({"ActiveState": "failed"}, "active and enabled", id="stopped"),
    pytest.param({"UnitFileState": "disabled"}, "active and enabled", id="not enabled at boot"),
    pytest.param(
        {"ActiveEnterTimestamp": "Sat 2020-11-21 23:00:00 UTC"},
        "started before",
        id="changed after its start",
    ),
]


@pytest.mark.parametrize(("difference", "says"), BROKEN)
def test_each_difference_fails(difference: dict[str, Any], says: str) -> None:
    finding = apt_cache.find(a_host(**difference), AUTO)
    assert finding.status.value == "fail"
    assert says in finding.expected + finding.actual


def test_another_mirror_is_declared() -> None:
    finding = apt_cache.find(a_host(), Settings(apt_mirror="ustc"))
    assert (finding.status.value, finding.actual) == ("fail", f"differs in {MIRRORS}")


def test_a_file_that_cannot_be_read_is_unknown() -> None:
    snapshot = a_host()
    hidden = Snapshot(
        type(snapshot.probes)(
            {**snapshot.probes.by_name, "hashes": snapshot.probes.get("sudo_user")}
        )
    )
    assert apt_cache.find(hidden, AUTO).status.value == "unknown"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (Settings(), ()),
        (AUTO, ("http://mirrors.aliyun.com", "http://mirrors.tuna.tsinghua.edu.cn",
                "http://mirrors.ustc.edu.cn")),
        (Settings(apt_mirror="ustc"), ("http://mirrors.ustc.edu.cn",)),
        (Settings(apt_mirror="https://mirror.example.invalid/debian"),
         ("https://mirror.example.invalid",)),
    ],
)  # fmt: skip
def test_mirrors_in_order(settings: Settings, expected: tuple[str, ...]) -> None:
    assert mirrors(settings) == expected


def test_builds_get_the_proxy() -> None:
    assert build_proxy(AUTO, a_host()) == "http://172.17.0.1:3142"
    assert build_arguments(AUTO, a_host()) == {
        "http_proxy": "http://172.17.0.1:3142",
        "NO_PROXY": "*",
    }


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        (Settings(), GATEWAY),
        (Settings(apt_mirror="auto", build_apt_cache=False), GATEWAY),
        (Settings(apt_mirror="auto", proxy_http="http://10.0.0.1:3128"), GATEWAY),
        (Settings(apt_mirror="auto", proxy_https="http://10.0.0.1:3128"), GATEWAY),
        (AUTO, "nonsense"),
    ],
)
def test_builds_get_no_proxy(settings: Settings, address: str) -> None:
    assert build_arguments(settings, a_host(address=address)) == {}


def test_files_do_not_depend_on_the_run() -> None:
    assert host_files(AUTO, GATEWAY) == host_files(AUTO, GATEWAY)
    assert tuple(file.path for file in host_files(AUTO, GATEWAY)) == PATHS


def mapped(settings: Settings, name: str) -> list[str]:
    """The URLs that the cache answers from the mirrors' archive of this name."""
    (late,) = (file.content for file in host_files(settings, GATEWAY) if file.path == LATE)
    lines = [line for line in late.splitlines() if line.startswith(f"Remap-{name}: ")]
    words = lines[0].partition(": ")[2].partition(" ; ")[0].split() if lines else []
    return [word for word in words if word.startswith("http")]


@pytest.mark.parametrize(
    ("name", "archive"),
    [("debrep", "debian"), ("uburep", "ubuntu"), ("mirsec", "debian-security")],
)
def test_every_mirror_is_mapped_whichever_is_declared(name: str, archive: str) -> None:
    settings = Settings(apt_mirror="http://mirror.example/debian")
    urls = [f"http://{host}/{archive}" for host in (*ALL_HOSTS, "mirror.example")]
    assert mapped(settings, name) == urls
    assert set(HOSTS.values()) < set(ALL_HOSTS)


@pytest.mark.parametrize("mirror", ["https://mirror.example", "http://mirror.example:8081"])
def test_what_the_cache_cannot_map_is_left_out(mirror: str) -> None:
    assert not [url for url in mapped(Settings(apt_mirror=mirror), "debrep") if "example" in url]


def test_without_a_mirror_a_dockerfile_gets_the_one_that_it_names() -> None:
    settings = Settings(build_apt_cache=True)
    assert [mapped(settings, name) for name in ("debrep", "uburep", "mirsec")] == [[], [], []]
