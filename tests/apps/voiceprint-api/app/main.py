"""Stand-in for the service: health that names its models; what it keeps is elsewhere."""

from pathlib import Path

import server

MODELS = Path("pretrained_models")


def _health(pattern: str) -> str:
    return "healthy" if any(MODELS.glob(pattern)) else "unhealthy"


class Api(server.Handler):
    health_path = "/health"

    def health(self) -> dict[str, object]:
        models = {
            "voiceprint_model": _health("spkrec-*/*.ckpt"),
            "emotion_model": _health("emotion_*/*.ckpt"),
        }
        return {
            "status": "healthy",
            "services": {"database": "healthy", "minio": "healthy", **models},
        }


if __name__ == "__main__":
    server.main(Api, port=8000)
