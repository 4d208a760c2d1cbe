"""Stand-in for the page: it answers without any model, loads one at the first recording, and keeps
results as files."""

import json
import os
import pathlib
import threading
from pathlib import Path

import server
from src.services.asr import paraformer, sense_voice

OUT = Path("/app/out")
LOAD = {"paraformer": paraformer.load, "sense_voice": sense_voice.load}


def load_env_config() -> str:
    """从.env文件加载配置"""
    env_path = pathlib.Path(__file__).resolve().parent / ".env"
    return env_path.read_text() if env_path.exists() else ""


def save_env_config(text: str) -> None:
    """保存配置到.env文件"""
    env_path = pathlib.Path(__file__).resolve().parent / ".env"
    env_path.write_text(text)


class Page(server.Handler):
    health_path = "/"

    def health(self) -> dict[str, object]:
        return {"page": "<gradio-app>", "device": os.environ["DEVICE"]}

    def rows(self) -> list[str]:
        return [file.read_text() for file in sorted(OUT.glob("*.txt"))]

    def keep(self, text: str) -> None:
        (OUT / f"{len(self.rows()):04}.txt").write_text(text)

    def get(self) -> object:
        return load_env_config() if self.path == "/settings" else None

    def post(self, body: str) -> object:
        if self.path == "/settings":
            save_env_config(body)
            return {}
        if self.path != "/upload_process_wrapper":
            return None
        (OUT / json.loads(body)["name"]).mkdir()
        try:
            LOAD[os.environ["ASR_MODEL"]]()
        except ConnectionError as error:
            server.say(str(error))
            return {"text": ""}
        return {"text": "" if server.BROKEN else "hello world"}


def say_where() -> None:
    """Gradio's last word before it serves."""
    server.READY.wait()
    server.say(f"* Running on local URL:  http://0.0.0.0:{os.environ['WEB_SERVER_PORT']}")


if __name__ == "__main__":
    with Path(os.environ["LOG_FILE"]).open("a") as log:
        log.write("started\n")
    threading.Thread(target=say_where, daemon=True).start()
    server.main(Page, port=int(os.environ["WEB_SERVER_PORT"]))
