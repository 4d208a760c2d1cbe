"""Stand-in for Hugging Face: a file of a model is a line of text."""

from pathlib import Path


def hf_hub_download(repository: str, name: str, local_dir: str) -> None:
    target = Path(local_dir) / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(f"{repository} {name}\n")
