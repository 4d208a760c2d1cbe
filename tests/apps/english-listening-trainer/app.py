"""Stand-in for the app: without the model's file there is no speech, and speech is kept as files.

Like the real one it looks for the file at the first request, and its health says nothing of it.
Where speech is written and read stands in two files of upstream, as it does there.
"""

import json
import os
import re
import sys
import time
from pathlib import Path

import server

HERE = Path(__file__).parent
# kokoro_wrapper_offline.py:172: this place and no other; nothing downloads it.
FILES = HERE / "kokoro-local/.cache/huggingface/hub/models--hexgrad--Kokoro-82M"
WANTED = ("snapshots/main/kokoro-v1_0.pth", "snapshots/main/voices/af_bella.pt", "refs/main")


def directory(file: str) -> Path:
    """The directory that the code of a file joins: path.join(process.cwd(), 'public', filename)."""
    joined = re.search(
        r"path\.join\(process\.cwd\(\), (.*?), filename\)", (HERE / file).read_text()
    )
    assert joined
    return HERE.joinpath(*re.findall(r"'([^']+)'", joined[1]))


def voice() -> None:
    """kokoro_wrapper_offline.py:182 and :243."""
    is_there = all((FILES / name).exists() for name in WANTED)
    server.say(
        "🚀 Kokoro TTS service is ready (offline mode)"
        if is_there
        else "❌ Model initialization failed: Local model file not found"
    )


class App(server.Handler):
    def health(self) -> dict[str, object]:
        return {"status": "healthy", "services": {"database": "connected"}}

    def get(self) -> object:
        if self.path != "/administrators":
            return None
        with server.database() as database:
            return database.execute("SELECT email, length FROM administrators").fetchall()

    def do_GET(self) -> None:  # noqa: N802
        if not self.path.startswith("/api/audio/"):
            super().do_GET()
            return
        file = directory("app/api/audio/[filename]/route.ts") / self.path.rpartition("/")[2]
        if file.exists():
            self.send(200, file.read_bytes(), "audio/wav")
        else:
            self.answer(404, {"error": "no such file"})

    def post(self, body: str) -> object:
        if self.path != "/api/tts" or server.BROKEN == "function":
            return None
        json.loads(body)["text"]
        if not all((FILES / name).exists() for name in WANTED):
            return {"error": "not ready"}
        name = f"tts_audio_{time.time_ns()}.wav"
        (directory("lib/kokoro-service-gpu.ts") / name).write_bytes(b"RIFF" + bytes(20_000))
        return {"audioUrl": f"/api/audio/{name}", "duration": 1.5}


if __name__ == "__main__":
    # lib/ark-helper.ts:11, when it is imported.
    if not os.environ.get("CEREBRAS_API_KEY"):
        sys.exit("Error: CEREBRAS_API_KEY is not set")
    if os.environ.get("CEREBRAS_PROXY_URL") != "":
        sys.exit("all requests would go through the author's proxy")
    voice()
    server.main(App)
