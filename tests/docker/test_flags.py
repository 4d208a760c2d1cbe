"""dockerd's flags, and which of them exclude which keys (as `dockerd --validate` 26.1.5 says)."""

from __future__ import annotations

import pytest

from gpuhost.domain.docker.flags import in_both, parse_flags

# Flag -> the key that dockerd names: "specified both as a flag and in the configuration file".
CLASHES = {
    "--log-opt max-size=50m": "log-opts",
    "--log-opt=max-size=50m": "log-opts",
    "--log-driver=local": "log-driver",
    "-D": "debug",
    "--debug": "debug",
    "--live-restore": "live-restore",
    "--live-restore=true": "live-restore",
    "-l debug": "log-level",
    "-ldebug": "log-level",
    "--default-ulimit nofile=1:2": "default-ulimits",
    "-H fd://": "hosts",
    "-Hfd://": "hosts",
    "-H=fd://": "hosts",
    "--host=fd://": "hosts",
    "-DH fd://": "hosts",
    "--insecure-registry x": "insecure-registries",
    "--exec-opt native.cgroupdriver=systemd": "exec-opts",
    "--storage-driver overlay2": "storage-driver",
    "-s overlay2": "storage-driver",
    "--storage-opt a=b": "storage-opts",
    "--data-root /x": "data-root",
    "--bip 10.0.0.1/24": "bip",
    "-b br0": "bridge",
    "--label a=b": "labels",
    "--registry-mirror https://m": "registry-mirrors",
    "--dns 192.0.2.1": "dns",
    "--dns-opt a": "dns-opts",
    "--dns-search a": "dns-search",
    "--default-address-pool base=10.0.0.0/8,size=24": "default-address-pools",
    "--iptables=false": "iptables",
    "--mtu 1400": "mtu",
    "--tlsverify": "tlsverify",
    "-p /x": "pidfile",
    "-G docker": "group",
    "--cgroup-parent x": "cgroup-parent",
    "--containerd /x": "containerd",
    "--cdi-spec-dir /x": "cdi-spec-dirs",
    "--authorization-plugin a": "authorization-plugins",
    "--node-generic-resource a=b": "node-generic-resources",
    "--default-network-opt bridge=a=b": "default-network-opts",
}


@pytest.mark.parametrize("text", CLASHES)
def test_a_flag_excludes_its_key(text: str) -> None:
    key = CLASHES[text]
    flags = parse_flags(["--icc=true", *text.split(), "--experimental"])
    assert [flag.key for flag in in_both(flags, {key: "anything"})] == [key]
    assert in_both(flags, {"other": 1}) == []


def test_runtimes_of_both_places_are_united() -> None:
    assert in_both(parse_flags(["--add-runtime", "a=/b"]), {"runtimes": {}, "add-runtime": 1}) == []


def test_values_words_and_where_they_stand() -> None:
    words = ["-D", "--log-opt", "tag=a b", "-H", "fd://", "--tls=false", "--", "-H", "x"]
    flags = parse_flags(words)
    assert [(flag.name, flag.value, flag.at) for flag in flags] == [
        ("debug", "", 0),
        ("log-opt", "tag=a b", 1),
        ("host", "fd://", 3),
        ("tls", "false", 5),
    ]


@pytest.mark.parametrize("words", [[], ["-"], ["--"], [""], ["x"], ["-H"], ["--host"], ["--="]])
def test_odd_words(words: list[str]) -> None:
    assert all(flag.value == "" for flag in parse_flags(words))
