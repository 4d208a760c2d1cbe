"""What others can change in a checkout, and on the way to what it runs."""

from __future__ import annotations

import os
import struct
import subprocess
from getpass import getuser
from pathlib import Path

import pytest

from gpuhost.snapshot.checkout import ACCOUNT, FIND

# acl(5) as the kernel stores it: the owner, the user 65534, the group, the mask and others.
USER_OBJ, USER, GROUP_OBJ, MASK, OTHER, NO_ID = 1, 2, 4, 16, 32, 0xFFFFFFFF
ACL = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", *entry)
    for entry in (
        (USER_OBJ, 6, NO_ID), (USER, 6, 65534), (GROUP_OBJ, 4, NO_ID), (MASK, 6, NO_ID),
        (OTHER, 4, NO_ID),
    )
)  # fmt: skip


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout of the account's own, with an interpreter elsewhere."""
    library = tmp_path / "python/lib/python3.12"
    for folder in (tmp_path / "srv/code/.venv/bin", tmp_path / "python/bin", library):
        folder.mkdir(parents=True)
    (tmp_path / "python/bin/python3.12").touch()
    (tmp_path / "python/bin/python3").symlink_to("python3.12")
    (library / "os.py").touch()
    checkout = tmp_path / "srv/code"
    (checkout / "inventory.py").touch()
    (checkout / ".venv/bin/python3").symlink_to(tmp_path / "python/bin/python3")
    for path in (tmp_path, *tmp_path.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755)
    return checkout


def found(checkout: Path, top: Path | None = None) -> list[str]:
    script = FIND.replace(f"id -u {ACCOUNT}", f"id -u {getuser()}")
    done = subprocess.run(
        ["sh", "-c", script, "sh", str(checkout)], capture_output=True, text=True, timeout=20,
        env={"LC_ALL": "C", "PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    root = f"{top or checkout.parents[1]}/"
    return [os.path.normpath(line.rpartition(" (")[0]).removeprefix(root)
            for line in done.stdout.replace(", with an ACL", "").splitlines()]  # fmt: skip


def test_nobody_else_can_change_it(checkout: Path) -> None:
    assert found(checkout) == []


@pytest.mark.parametrize(
    "open_to_all",
    [
        "srv/code",
        "srv/code/inventory.py",
        "srv",
        "python",
        "python/bin",
        "python/lib",
        "python/lib/python3.12",
        "python/lib/python3.12/os.py",
    ],
)
def test_others_can_change(checkout: Path, open_to_all: str) -> None:
    (checkout.parents[1] / open_to_all).chmod(0o777)
    assert open_to_all in found(checkout)


def test_others_can_change_the_interpreter(checkout: Path) -> None:
    (checkout.parents[1] / "python/bin/python3.12").chmod(0o757)
    assert found(checkout) == ["srv/code/.venv/bin/python3"]


def test_others_can_change_the_library_of_a_copied_interpreter(checkout: Path) -> None:
    top = checkout.parents[1]
    (checkout / ".venv/bin/python3").unlink()
    (checkout / ".venv/bin/python3").touch(0o755)
    (checkout / ".venv/pyvenv.cfg").write_text(f"home = {top}/python/bin\nversion = 3.12.1\n")
    assert found(checkout) == []
    (top / "python/lib/python3.12/os.py").chmod(0o757)
    assert found(checkout) == ["python/lib/python3.12/os.py"]


def test_with_the_sticky_bit_others_cannot_replace_what_is_above(checkout: Path) -> None:
    checkout.parent.chmod(0o1777)
    assert found(checkout) == []


@pytest.mark.parametrize("target", ["other/inventory.py", "other/bin/link"])
def test_a_link_leads_through_a_directory_of_others(checkout: Path, target: str) -> None:
    """Also a link whose own target is safe: whoever can write in its directory replaces it."""
    top = checkout.parents[1]
    (top / target).parent.mkdir(parents=True)
    (top / target).symlink_to(top / "python/bin/python3.12")
    (top / "other").chmod(0o777)
    (checkout / "extra.py").symlink_to(f"../../{target}")
    assert found(checkout) == ["other"]


def test_a_checkout_that_is_a_link(checkout: Path) -> None:
    top = checkout.parents[1]
    (top / "link").symlink_to("srv/code")
    assert found(top / "link", top) == []
    (top / "python/bin").chmod(0o777)
    assert found(top / "link", top) == ["python/bin"]
    checkout.parent.chmod(0o777)
    assert found(top / "link", top) == ["srv"]


@pytest.mark.parametrize("path", ["srv/code/inventory.py", "srv", "python/lib"])
def test_an_acl_lets_somebody_in(checkout: Path, path: str) -> None:
    """Its mask stands where the mode has the group's bits: 0664 root:root, say."""
    os.setxattr(checkout.parents[1] / path, "system.posix_acl_access", ACL)
    assert found(checkout) == [path]
