"""Stand-in for FunASR: a directory is loaded, a name is downloaded; here there is no network."""

from pathlib import Path


class AutoModel:
    def __init__(self, **models: str) -> None:
        for name in models.values():
            if not (Path(name) / "model.pt").exists():
                raise ConnectionError(f"{name} is no directory with a model: download failed")
