"""The reply of the collector: truncated, foreign or binary data never gives a wrong reading."""

from __future__ import annotations

import base64
import gzip
import io
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyinfra.api.exceptions import FactProcessError

from gpuhost.domain.sizes import MB
from gpuhost.facts.snapshot import Snapshot as SnapshotFact
from gpuhost.snapshot import Probe
from gpuhost.snapshot.collector import script
from gpuhost.snapshot.request import Request
from gpuhost.snapshot.transport import BadReply, TooLarge, decode


def reply(files: dict[str, bytes], *, width: int = 76) -> list[str]:
    """What a host prints: a tar of these files, compressed, in lines of base64."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    text = base64.b64encode(buffer.getvalue()).decode()
    return [text[start : start + width] for start in range(0, len(text), width)]


def head(*, size: bytes = b"00000000000", magic: bytes = b"ustar ") -> bytes:
    """The first block of a tar."""
    block = bytearray(512)
    block[0:9] = b"kernel.rc"
    block[124 : 124 + len(size)] = size
    block[156:157] = b"0"
    block[257 : 257 + len(magic)] = magic
    return bytes(block)


WHOLE = {"kernel.rc": b"0\n", "kernel.out": b"Linux spine 6.12 x86_64\n", "kernel.err": b""}


def test_a_complete_reply() -> None:
    assert decode(reply(WHOLE)).get("kernel") == Probe(0, "Linux spine 6.12 x86_64\n", "")


def test_a_reply_that_is_cut_anywhere_is_an_error() -> None:
    """At every byte: a truncated reply never looks like a smaller host."""
    text = "".join(reply(WHOLE))
    for length in range(len(text)):
        with pytest.raises(BadReply):
            decode([text[:length]])


@pytest.mark.parametrize(
    "archive",
    [
        pytest.param(b"hello" * 200, id="not a tar"),
        pytest.param(head(size=b"-0000001000"), id="negative size"),
        pytest.param(head(size=b"zzzzzzzzzzz"), id="no size"),
        pytest.param(head(size=b""), id="empty size"),
        pytest.param(head(magic=b"cpio  "), id="another kind"),
    ],
)
def test_compressed_data_that_is_not_a_tar_is_an_error(archive: bytes) -> None:
    with pytest.raises(BadReply):
        decode([base64.b64encode(gzip.compress(archive)).decode()])


@given(st.binary(max_size=3000))
def test_any_compressed_data_terminates(archive: bytes) -> None:
    with pytest.raises(BadReply):
        decode([base64.b64encode(gzip.compress(archive)).decode()])


def test_other_tar_entries_are_ignored() -> None:
    """Directories of GNU tar, and files of about the length of a block."""
    with tempfile.TemporaryDirectory() as folder:
        for length in (0, 1, 511, 512, 513, 5000):
            Path(folder, f"of{length}.rc").write_text("0\n")
            Path(folder, f"of{length}.out").write_text("x" * length)
        made = subprocess.run(
            ["sh", "-c", 'tar -C "$1" -cf - . | gzip -1 | base64 -w 0', "sh", folder],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
    decoded = decode(made.stdout.splitlines())
    assert {name: len(probe.out) for name, probe in decoded.by_name.items()} == {
        f"of{length}": length for length in (0, 1, 511, 512, 513, 5000)
    }


def test_a_reply_without_one_line_is_an_error() -> None:
    noise = bytes(range(256)) * 40
    lines = reply({**WHOLE, "noise.rc": b"0\n", "noise.out": noise}, width=60)
    assert len(lines) > 5
    for missing in range(len(lines)):
        with pytest.raises(BadReply):
            decode(lines[:missing] + lines[missing + 1 :])


@pytest.mark.parametrize("greeting", [["Welcome to Ubuntu!", ""], ["\x1b[33m", "aGVsbG8="]])
def test_a_greeting_before_it_is_left_out(greeting: list[str]) -> None:
    """A shell reads ~/.bashrc also for one command (ansible#2268, linutil#1091)."""
    lines = reply(WHOLE)
    assert decode([*greeting, *lines]) == decode(lines)
    # Without the end of a line.
    assert decode([*greeting[:-1], greeting[-1] + lines[0], *lines[1:]]) == decode(lines)


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([], id="nothing"),
        pytest.param(["sh: 1: tar: not found"], id="an error message"),
        pytest.param(["Welcome to Ubuntu!"], id="only a greeting of the shell"),
        pytest.param([*reply(WHOLE), "logout"], id="something after it"),
        pytest.param(["aGVsbG8="], id="base64 of other data"),
        pytest.param(["\ufffd" * 10], id="not ASCII"),
        pytest.param(reply({}), id="an empty tar"),
        pytest.param(reply({"kernel.out": b"x"}), id="no probe that ended"),
    ],
)
def test_other_text_is_an_error(lines: list[str]) -> None:
    with pytest.raises(BadReply):
        decode(lines)
    with pytest.raises(FactProcessError):
        SnapshotFact().process(lines)


@given(st.lists(st.text(max_size=200), max_size=5))
def test_any_reply_is_a_reading_or_an_error(lines: list[str]) -> None:
    with pytest.raises(BadReply):
        decode(lines)


@given(out=st.binary(max_size=300), err=st.binary(max_size=300), status=st.integers(0, 255))
def test_any_bytes_of_a_probe_are_transferred(out: bytes, err: bytes, status: int) -> None:
    probe = decode(reply({"p.rc": b"%d" % status, "p.out": out, "p.err": err})).get("p")
    assert probe.out == out.decode("utf-8", "replace")
    assert probe.err == err.decode("utf-8", "replace")


@pytest.mark.parametrize(
    ("status", "rc"),
    [("0\n", 0), ("127\n", 127), ("124\n", None), ("137\n", None), ("", None)],
)
def test_status(status: str, rc: int | None) -> None:
    """No status, or that of `timeout`: the probe timed out."""
    assert decode(reply({"p.rc": status.encode()})).get("p").rc == rc


@given(status=st.binary(max_size=10))
def test_any_status_is_one_or_an_error(status: bytes) -> None:
    try:
        rc = decode(reply({"p.rc": status})).get("p").rc
    except BadReply as error:
        assert "no exit status" in str(error)
    else:
        assert rc is None or 0 <= rc <= 999


@pytest.mark.parametrize("status", ["²\n", "0\0", "-1", "9" * 5000, "0 0"])
def test_a_status_that_no_shell_writes(status: str) -> None:
    with pytest.raises(BadReply, match="incomplete: no exit status"):
        decode(reply({"p.rc": status.encode()}))


@pytest.mark.parametrize("text", [b"x" * (8 * MB + 1), b"\n" * 500_001], ids=["long", "lines"])
@pytest.mark.parametrize("stream", ["out", "err"])
def test_a_probe_with_too_much_text(text: bytes, stream: str) -> None:
    with pytest.raises(TooLarge, match=r"one probe in the host's reply has more than 8 MB .*'p'"):
        decode(reply({"p.rc": b"0", f"p.{stream}": text}))


NASTY = ["/a b", "/a'b", "/$(reboot)", "/`reboot`", "/a\nb", '/"', "/-rf", "/*", "/ü", "/;exit 9"]


def test_paths_are_sent_as_data() -> None:
    """A real shell parses the script, and passes every path to the probe unchanged."""
    text = script(Request(managed=tuple(NASTY)))
    show = """probe() { :; }
expect() { :; }
expire() { cat; }
at_once() { [ "$1" != hashes ] || { shift 2; printf '%s\\0' "$@"; }; }
"""
    shown = text.replace("main </dev/null\n", f"{show}run_probes\nwait\n")
    done = subprocess.run(["/bin/sh"], input=shown.encode(), capture_output=True, check=True)
    assert set(NASTY) < set(done.stdout.decode().split("\0"))


def test_requests_add_up() -> None:
    first, second = Request(managed=("/a",)), Request(plain=("/b",))
    both = first | second
    assert both.covers(first)
    assert both.covers(second)
    assert not first.covers(both)
