"""What a person does who follows the advice of a check of the host, and what is asserted then."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from gpuhost.checks.host.system_ssh import NEW_KEYS
from tests.runner.advice_followed import shell
from tests.runner.advice_texts import advice
from tests.runner.unfinished_host import Host


def said(start: str) -> str:
    """The advice that starts so."""
    (found,) = (text for text in advice() if text.startswith(start))
    return found


def directory(host: Host) -> Path:
    made = host.app.paths.home.with_name("place")
    made.mkdir()
    return made


def repair_host_keys(host: Host) -> None:
    """Keys with content stay: clients know them."""
    if not shutil.which("ssh-keygen"):
        pytest.skip("needs ssh-keygen")
    root = directory(host)
    place = root / "etc/ssh"
    place.mkdir(parents=True)
    good, empty = place / "ssh_host_ecdsa_key", place / "ssh_host_ed25519_key"
    good.write_text("a key")
    empty.touch()
    command = NEW_KEYS.replace("/etc/ssh", str(place)).replace("; sshd -t", "")
    shell(command.replace("ssh-keygen -A", f"ssh-keygen -q -A -f {root}"))
    assert (good.read_text(), good.stat().st_mode & 0o777) == ("a key", 0o600)
    assert empty.stat().st_size


def close_the_checkout(host: Host) -> None:
    """Not what links in it lead to."""
    checkout, outside = directory(host), host.app.data("of the app")
    for path in (outside, checkout / "file"):
        path.write_text("kept")
        path.chmod(0o666)
        os.chown(path, 4711, 4711)
    (checkout / "link").symlink_to(outside)
    command = said("chown -R root: ").partition(";")[0]
    shell(command.format(checkout, checkout))
    states = [path.stat() for path in (outside, checkout / "file")]
    assert [(one.st_uid, one.st_mode & 0o777) for one in states] == [(4711, 0o666), (0, 0o644)]


def remove_a_link_of_the_host(host: Host) -> None:
    """Not what it leads to, and no directory."""
    link, place = host.app.paths.home.with_name("link"), directory(host)
    (place / "file").write_text("kept")
    link.symlink_to(place)
    command = said("rm {}; {}")
    shell(command.format(link, "true"))
    assert not os.path.lexists(link)
    assert (place / "file").read_text() == "kept"
