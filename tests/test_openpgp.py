"""Key files as gpg exports them: two kinds of key, binary and armored, complete and damaged."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuhost.domain.apt.openpgp import NoKey, armor, dearmor, fingerprints
from gpuhost.domain.apt.repository import Repository

KEYS = Path(__file__).parent / "fixtures" / "openpgp"
FINGERPRINTS = {
    "rsa2048": "261B2DF87EEB662DB23452BF182F8E9D4C05BC88",
    "ed25519": "698C426BEE13844FBB64F9642D826E2EE5CA54E1",
}
each_key = pytest.mark.parametrize("name", FINGERPRINTS)


def binary(name: str) -> bytes:
    return (KEYS / f"{name}.gpg").read_bytes()


def armored(name: str) -> bytes:
    return (KEYS / f"{name}.asc").read_bytes()


@each_key
def test_fingerprint_as_gpg_prints_it(name: str) -> None:
    assert fingerprints(binary(name)) == [FINGERPRINTS[name]]
    assert fingerprints(armored(name)) == [FINGERPRINTS[name]]


@each_key
def test_armor_is_what_gpg_writes(name: str) -> None:
    assert armor(binary(name)) == armored(name).decode("ascii")
    assert dearmor(armored(name)) == binary(name)


def test_two_keys_in_one_file_are_both_seen() -> None:
    both = set(FINGERPRINTS.values())
    assert set(fingerprints(binary("rsa2048") + binary("ed25519"))) == both
    assert set(fingerprints(armored("rsa2048") + armored("ed25519"))) == both


def test_carriage_returns_do_not_matter() -> None:
    assert fingerprints(armored("ed25519").replace(b"\n", b"\r\n")) == [FINGERPRINTS["ed25519"]]


@given(st.binary(max_size=400))
def test_other_data_is_not_a_key(data: bytes) -> None:
    with pytest.raises(NoKey):
        fingerprints(b"<html>" + data)


@given(st.integers(0, len((KEYS / "rsa2048.gpg").read_bytes()) - 1))
def test_a_truncated_key_is_never_another_key(length: int) -> None:
    try:
        keys = fingerprints(binary("rsa2048")[:length])
    except NoKey:
        return
    assert keys == [FINGERPRINTS["rsa2048"]]


def repository(fingerprint: str) -> Repository:
    uri = "https://packages.example/deb"
    return Repository("vendor", uri, "/", "", "amd64", f"{uri}/key", fingerprint)


def test_only_the_declared_key_is_accepted() -> None:
    declared = repository(FINGERPRINTS["rsa2048"])
    assert declared.refused_key(armored("rsa2048")) == ""
    assert FINGERPRINTS["ed25519"] in declared.refused_key(armored("ed25519"))


def test_a_second_key_beside_the_declared_one_is_refused() -> None:
    declared = repository(FINGERPRINTS["rsa2048"])
    assert FINGERPRINTS["ed25519"] in declared.refused_key(armored("rsa2048") + armored("ed25519"))


def test_an_error_page_is_refused() -> None:
    refusal = repository(FINGERPRINTS["rsa2048"]).refused_key(b"<html>404 Not Found</html>")
    assert refusal.startswith("the key is not usable")


def test_a_flat_repository_has_no_components() -> None:
    assert repository("A" * 40).sources == (
        "# Written by gpuhost; changes are overwritten.\n"
        "Types: deb\nURIs: https://packages.example/deb\nSuites: /\n"
        "Architectures: amd64\nSigned-By: /etc/apt/keyrings/vendor.asc\n"
    )
