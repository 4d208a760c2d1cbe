"""For any content: nothing raises, no line is lost, and a second change is empty."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from gpuhost.domain.apt import deb822, one_line
from gpuhost.domain.apt.archive import Distribution
from gpuhost.domain.apt.choice import release_date
from gpuhost.domain.apt.duplicates import duplicates
from gpuhost.domain.apt.entry import SourceFile
from gpuhost.domain.apt.mirrors import mirror_called
from gpuhost.domain.apt.plan import HostSources, to_mirror, to_original
from gpuhost.domain.apt.record import Record, digest
from gpuhost.domain.apt.sources import mirrored
from tests.apt.test_plan import FakeHost

PATHS = (
    "/etc/apt/sources.list",
    "/etc/apt/sources.list.d/debian.sources",
    "/etc/apt/sources.list.d/ubuntu.sources",
    "/etc/apt/sources.list.d/extra.list",
    "/etc/apt/mirrors/debian.list",
)
WORDS = (
    "deb", "deb-src", "Types:", "URIs:", "Suites:", "Components:", "Signed-By:", "Enabled: no",
    "Enabled: yes", "http://archive.example.invalid/debian", "https://near.example.invalid/ubuntu/",
    "http://archive.example.invalid/debian-security", "mirror+file:/etc/apt/mirrors/debian.list",
    "https://mirrors.ustc.edu.cn/debian", "http://[::bad", "https://u:p@h.invalid/debian",
    "bookworm", "bookworm-updates", "bookworm-security", "noble", "./", "main", "contrib",
    "/usr/share/keyrings/debian-archive-keyring.gpg", "[arch=amd64]", "[signed-by=/k.gpg]", "[",
    "# a comment", "#", "cdrom:[x y]/", "软件源", "\udce9", "\x00", "\x85", "\u2028",
)  # fmt: skip
garbage = st.lists(
    st.tuples(st.sampled_from(WORDS), st.sampled_from([" ", "\n", "\n\n", "\r\n", "\t", "\n "])),
    max_size=30,
).map(lambda pairs: "".join(word + gap for word, gap in pairs)) | st.text(max_size=200)


def some(*words: str) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(words), min_size=1, max_size=3).map(" ".join)


uris = (
    "http://archive.example.invalid/debian",
    "https://near.example.invalid/debian/",
    "http://archive.example.invalid/debian-security",
    "http://archive.example.invalid/ubuntu",
    "http://ports.example.invalid/ubuntu-ports",
    "mirror+file:/etc/apt/mirrors/debian.list",
    "https://mirrors.ustc.edu.cn/debian",
    "https://repo.vendor.invalid/x/debian",
)
releases = ("bookworm", "bookworm-updates", "bookworm-security", "noble", "noble-security")
keyrings = (
    "/usr/share/keyrings/debian-archive-keyring.gpg",
    "/usr/share/keyrings/debian-archive-keyring.pgp",
    "/usr/share/keyrings/ubuntu-archive-keyring.gpg",
    "/etc/apt/keyrings/vendor.gpg",
)
line = st.builds(
    "{} {}{} {} {}\n".format,
    st.sampled_from(["deb", "deb-src"]),
    st.sampled_from(["", "[arch=amd64] ", *(f"[signed-by={keyring}] " for keyring in keyrings)]),
    st.sampled_from(uris),
    st.sampled_from(releases),
    some("main", "contrib", "universe"),
)
stanza = st.builds(
    "Types: {}\nURIs: {}\nSuites: {}\nComponents: {}\n{}\n".format,
    some("deb", "deb-src"),
    some(*uris),
    some(*releases),
    some("main", "contrib", "universe"),
    st.sampled_from(["", "Enabled: no\n", *(f"Signed-By: {keyring}\n" for keyring in keyrings)]),
)
listed = st.sampled_from([f"{uri}\n" for uri in uris if uri.startswith("http")])
text = garbage | st.lists(line | stanza | listed | garbage, max_size=5).map("".join)
contents = st.dictionaries(st.sampled_from(PATHS), text, max_size=len(PATHS))
distributions = st.sampled_from(
    [
        Distribution("debian", "bookworm", "amd64"),
        Distribution("ubuntu", "noble", "arm64", ("amd64",)),
        Distribution("", "", ""),
    ]
)
mirrors = st.sampled_from(["ustc", "aliyun", "http://h.invalid:80/x/debian"]).map(
    lambda name: mirror_called(name, https=True)
)


@settings(deadline=None)
@given(text)
def test_a_file_is_its_blocks(content: str) -> None:
    assert "\n".join(block.text for block in one_line.lines(content)) == content
    assert "\n".join(block.text for block in deb822.stanzas(content)) == content


@settings(deadline=None)
@given(contents, distributions, mirrors, st.booleans())
def test_a_second_change_is_empty(
    files: dict[str, str], distribution: Distribution, mirror, with_security: bool
) -> None:
    before = [SourceFile(path, content) for path, content in files.items()]
    once = mirrored(before, distribution, mirror, with_security=with_security)
    assert {file.path for file in once} == set(files)
    assert mirrored(once, distribution, mirror, with_security=with_security) == once
    assert duplicates(once, distribution) == []


@settings(deadline=None)
@given(contents, distributions, mirrors, mirrors, st.booleans())
def test_the_original_is_restored_byte_for_byte(
    files: dict[str, str], distribution: Distribution, first, second, with_security: bool
) -> None:
    host = FakeHost(files, distribution, {})
    away = host.at(first, with_security=with_security).at(second)
    assert to_mirror(away.sources, away.record, with_security=False).is_empty
    assert away.after(to_original(away.sources)) == host


@settings(deadline=None)
@given(contents, contents, distributions, mirrors)
def test_an_edited_host_raises_nothing_and_becomes_stable(
    files: dict[str, str], edits: dict[str, str], distribution: Distribution, mirror
) -> None:
    host = FakeHost(files, distribution, {}).at(mirror)
    edited = FakeHost({**host.files, **edits}, distribution, host.saved, host.record)
    settled = edited.at(mirror)
    assert to_mirror(settled.sources, settled.record, with_security=False).is_empty
    back = settled.after(to_original(settled.sources))
    assert to_original(back.sources).is_empty


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.text(max_size=80) | json_like.map(json.dumps))
def test_garbage_is_not_a_record(content: str) -> None:
    assert Record.from_json(content) is None


@settings(deadline=None)
@given(st.text(max_size=60))
def test_garbage_is_not_a_date(content: str) -> None:
    date = release_date(content)
    assert date is None or date.tzinfo is not None


@settings(deadline=None)
@given(st.binary(max_size=100))
def test_any_bytes_have_a_digest(content: bytes) -> None:
    assert len(digest(content.decode("utf-8", "surrogateescape"))) == 64


def test_an_empty_host_has_nothing_to_change() -> None:
    sources = HostSources((), (), None, Distribution("debian", "trixie", "amd64"))
    assert to_original(sources).is_empty
