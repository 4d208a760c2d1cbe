"""Stand-in for the page: it answers without any model, loads one at the first recording, and keeps
results as files."""

import json
import os
import threading
from pathlib import Path

import server

OUT = Path("/app/out")
MODELS = Path("/app/models")
# What each variant loads, besides fsmn-vad.
WANTED = {"paraformer": ("paraformer-zh", "ct-punc-c"), "sense_voice": ("SenseVoiceSmall",)}


class Page(server.Handler):
    health_path = "/"

    def health(self) -> dict[str, object]:
        return {"page": "<gradio-app>", "device": os.environ["DEVICE"]}

    def rows(self) -> list[str]:
        return [file.read_text() for file in sorted(OUT.glob("*.txt"))]

    def keep(self, text: str) -> None:
        (OUT / f"{len(self.rows()):04}.txt").write_text(text)

    def post(self, body: str) -> object:
        if self.path != "/upload_process_wrapper":
            return None
        names = ("fsmn-vad", *WANTED[os.environ["ASR_MODEL"]])
        there = all((MODELS / name / "model.pt").exists() for name in names)
        (OUT / json.loads(body)["name"]).mkdir()
        return {"text": "hello world" if there and not server.BROKEN else ""}


def say_where() -> None:
    """Gradio's last word before it serves."""
    server.READY.wait()
    server.say(f"* Running on local URL:  http://0.0.0.0:{os.environ['WEB_SERVER_PORT']}")


if __name__ == "__main__":
    with Path(os.environ["LOG_FILE"]).open("a") as log:
        log.write("started\n")
    threading.Thread(target=say_where, daemon=True).start()
    server.main(Page, port=int(os.environ["WEB_SERVER_PORT"]))
