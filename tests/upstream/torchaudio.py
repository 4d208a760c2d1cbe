"""torchaudio for PyTorch without CUDA: the index's wheel without its compiled part.

The compiled part wants CUDA's libraries when it is loaded; all that apps use is Python.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.lab.process import run
from tests.lab.state import folder


def torchaudio_without_cuda() -> tuple[str, bytes]:
    """The wheel's name, of a version that ends with +cpu, and its content."""
    kept = folder() / "upstream"
    found = sorted(kept.glob("torchaudio-*+cpu-*.whl"))
    if not found:
        kept.mkdir(exist_ok=True)
        found = [_make(kept)]
    return found[-1].name, found[-1].read_bytes()


def _make(into: Path) -> Path:
    with TemporaryDirectory() as temporary:
        # Debian 12's Python, whatever runs this.
        wanted = ["--python-version", "3.11", "--only-binary=:all:", "--no-deps"]
        run(["pip", "download", "-q", *wanted, "-d", temporary, "torchaudio"], timeout=600)
        (wheel,) = Path(temporary).glob("*.whl")
        package, version, *rest = wheel.name.split("-")
        new = f"{version.partition('+')[0]}+cpu"
        made = into / "-".join((package, new, *rest))
        made.write_bytes(_stripped(wheel, f"{package}-{version}", f"{package}-{new}"))
    return made


def _stripped(wheel: Path, old: str, new: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(stream, "w") as target:
        for name in source.namelist():
            if name.endswith(".so"):
                continue
            content = source.read(name)
            if name.endswith(".dist-info/RECORD"):
                lines = content.decode().replace(old, new).splitlines()
                content = "\n".join(line for line in lines if ".so," not in line).encode()
            if name.endswith(".dist-info/METADATA"):
                version = new.partition("-")[2].encode()
                content = content.replace(
                    b"\nVersion: " + old.partition("-")[2].encode(), b"\nVersion: " + version, 1
                )
            target.writestr(name.replace(old, new), content)
    return stream.getvalue()
