"""Stand-in for the app: without the model's file there is no speech, and speech is kept as files.

Like the real one it looks for the file at the first request, and its health says nothing of it.
"""

import json
import os
import sys
import time
from pathlib import Path

import server

FILES = Path(os.environ.get("HF_HOME", "none")) / "hub/models--hexgrad--Kokoro-82M"
WANTED = ("snapshots/main/kokoro-v1_0.pth", "snapshots/main/voices/af_bella.pt", "refs/main")
AUDIO = Path("/app/public/audio")


class App(server.Handler):
    def health(self) -> dict[str, object]:
        return {"status": "healthy", "services": {"database": "connected"}}

    def get(self) -> object:
        if self.path != "/administrators":
            return None
        with server.database() as database:
            return database.execute("SELECT email, length FROM administrators").fetchall()

    def do_GET(self) -> None:  # noqa: N802
        if self.path.startswith("/api/audio/"):
            self.send(200, (AUDIO / self.path.rpartition("/")[2]).read_bytes(), "audio/wav")
        else:
            super().do_GET()

    def post(self, body: str) -> object:
        if self.path != "/api/tts" or server.BROKEN == "function":
            return None
        json.loads(body)["text"]
        if not all((FILES / name).exists() for name in WANTED):
            server.say("Model initialization failed: Local model file not found")
            return {"error": "not ready"}
        name = f"tts_audio_{time.time_ns()}.wav"
        (AUDIO / name).write_bytes(b"RIFF" + bytes(20_000))
        return {"audioUrl": f"/api/audio/{name}", "duration": 1.5}


if __name__ == "__main__":
    if "CEREBRAS_API_KEY" not in os.environ:
        sys.exit("Error: CEREBRAS_API_KEY is not set")
    if os.environ.get("CEREBRAS_PROXY_URL") != "":
        sys.exit("all requests would go through the author's proxy")
    server.main(App)
