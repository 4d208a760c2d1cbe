"""Stand-in for PyTorch: what the verification asks of it."""

import subprocess
from pathlib import Path


class cuda:  # noqa: N801
    @staticmethod
    def is_available() -> bool:
        server = Path(__file__).with_name("server.py")
        return subprocess.run(["python3", str(server), "card"]).returncode == 0
