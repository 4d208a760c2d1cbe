"""Mount points of fstab, followed by the collector's own command."""

from __future__ import annotations

import subprocess
from pathlib import Path

from gpuhost.snapshot import Probe, Probes
from gpuhost.snapshot.mounts import FSTAB, MOUNTINFO, RESOLVED, Mounts

# The last line has no newline; the mount point of the fifth has a space.
LINES = """# UUID=0 /commented ext4
UUID=1 / ext4 defaults 0 1

/dev/vdb ROOT/data// ext4
  LABEL=models\tROOT/link/my\\040models xfs ro,nofail 0 2
none none swap sw
/dev/sr0 /media/* auto noauto 0 0
/srv/a ROOT/new none bind"""


def test_links_are_followed_as_mount_does(tmp_path: Path) -> None:
    for name in ("srv/data", "srv/my models"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "data").symlink_to("srv/data")
    (tmp_path / "link").symlink_to(tmp_path / "srv")
    fstab = LINES.replace("ROOT", str(tmp_path))
    (tmp_path / "fstab").write_text(fstab)
    command = RESOLVED.replace("/etc/fstab", str(tmp_path / "fstab"))
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")
    files = "".join(f"{FSTAB}:{line}\n" for line in fstab.splitlines())
    probes = {"fstab_targets": Probe(0, done.stdout)}
    mountinfo = f"{MOUNTINFO}:1 1 8:1 / / rw - ext4 /dev/vda rw\n"
    mounts = Mounts.read(Probes({**probes, "files": Probe(0, files + mountinfo)}))
    expected = ["/", f"{tmp_path}/srv/data", f"{tmp_path}/srv/my models", f"{tmp_path}/new"]
    assert [mount.resolved for mount in mounts.declared] == expected
    assert mounts.read_only == {f"{tmp_path}/srv/my models"}
    assert [mount.source for mount in mounts.missing] == ["/dev/vdb", "LABEL=models", "/srv/a"]
