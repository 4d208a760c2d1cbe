"""Stand-in for the page: it loads a model that has to be there, and keeps results as files."""

import os
import sys
import threading
from pathlib import Path

import server

OUT = Path(os.environ["OUTPUT_DIR"])
MODELS = {"paraformer": "iic/speech_paraformer-large*", "sense_voice": "iic/SenseVoiceSmall"}


class Page(server.Handler):
    health_path = "/"

    def health(self) -> dict[str, object]:
        return {"page": "<gradio-app>", "device": os.environ["DEVICE"]}

    def rows(self) -> list[str]:
        return [file.read_text() for file in sorted(OUT.iterdir())]

    def keep(self, text: str) -> None:
        (OUT / f"{len(list(OUT.iterdir())):04}.txt").write_text(text)


def say_where() -> None:
    """Gradio's last word before it serves."""
    server.READY.wait()
    server.say(f"* Running on local URL:  http://0.0.0.0:{os.environ['WEB_SERVER_PORT']}")


if __name__ == "__main__":
    if not list(Path(os.environ["MODEL_DIR"]).glob(MODELS[os.environ["ASR_MODEL"]])):
        sys.exit("Model download failed: not in MODEL_DIR, and nothing is downloaded here")
    with Path(os.environ["LOG_FILE"]).open("a") as log:
        log.write("started\n")
    threading.Thread(target=say_where, daemon=True).start()
    server.main(Page, port=int(os.environ["WEB_SERVER_PORT"]))
