"""Stand-in for the service: health that names its models, and rows as uploaded files."""

from pathlib import Path

import server

MODELS = Path("pretrained_models")
UPLOADS = Path("uploads")


def _health(pattern: str) -> str:
    return "healthy" if any(MODELS.glob(pattern)) else "unhealthy"


class Api(server.Handler):
    health_path = "/health"

    def health(self) -> dict[str, object]:
        models = {
            "voiceprint_model": _health("spkrec-*/*.ckpt"),
            "emotion_model": _health("emotion_*/*.ckpt"),
        }
        return {"status": "healthy", "services": models}

    def rows(self) -> list[str]:
        return [file.read_text() for file in sorted(UPLOADS.iterdir())]

    def keep(self, text: str) -> None:
        (UPLOADS / f"{len(list(UPLOADS.iterdir())):04}.wav").write_text(text)


if __name__ == "__main__":
    server.main(Api, port=8000)
