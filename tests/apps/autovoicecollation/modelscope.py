"""Stand-in for ModelScope: a model is a file in its cache, and stays once it is there."""

import os
from pathlib import Path


def snapshot_download(model: str, revision: str | None = None) -> str:
    place = Path(os.environ["MODELSCOPE_CACHE"]) / model
    if not place.exists():
        place.mkdir(parents=True)
        (place / "model.pt").write_text(f"{model} {revision}\n")
    return str(place)
