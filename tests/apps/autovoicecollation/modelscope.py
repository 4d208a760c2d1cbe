"""Stand-in for ModelScope: a model is a file, and stays once it is there."""

from pathlib import Path


def snapshot_download(model: str, revision: str, local_dir: str) -> None:
    place = Path(local_dir)
    place.mkdir(parents=True, exist_ok=True)
    for name in ("model.pt", "configuration.json"):
        (place / name).write_text(f"{model} {revision}\n")
