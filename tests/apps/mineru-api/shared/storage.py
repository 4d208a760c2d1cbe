"""Stand-in for the storage of results: files of a volume."""

import os
from pathlib import Path


class Storage:
    def save_output_file(self, key: str, data: bytes) -> str:
        path = Path(os.environ["OUTPUT_DIR"]) / key
        path.write_bytes(data)
        return str(path)

    def read_file(self, path: str) -> bytes:
        return Path(path).read_bytes()

    def delete_file(self, path: str) -> bool:
        Path(path).unlink()
        return True


def get_storage() -> Storage:
    return Storage()
