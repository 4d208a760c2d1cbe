"""Update the recorded hosts to the guard and units that gpuhost installs:

python -m tests.firewall.rehash
"""

from __future__ import annotations

import re
from pathlib import Path

from gpuhost.plans.firewall_files import host_files

RECORDING = Path(__file__).parents[1] / "fixtures" / "hosts" / "firewall-guarded.yaml"


def with_current_hashes(text: str) -> str:
    """The recording with the hashes of the current files."""
    for file in host_files():
        text = re.sub(
            rf"\b[0-9a-f]{{64}}  {re.escape(file.path)}$",
            f"{file.sha256}  {file.path}",
            text,
            flags=re.M,
        )
    return text


if __name__ == "__main__":
    RECORDING.write_text(with_current_hashes(RECORDING.read_text("utf-8")), "utf-8")
