"""Stand-in for the service: health that asks the database and names its models, as main.py:178."""

import asyncio
import logging
from pathlib import Path

import server
from app import engine

MODELS = Path("pretrained_models")
logger = logging.getLogger()


def _model(pattern: str) -> str:
    return "healthy" if any(MODELS.glob(pattern)) else "unavailable"


async def health_check() -> dict[str, object]:
    async with engine.begin() as conn:
        await conn.execute("SELECT 1")
    models = {
        "voiceprint_model": _model("spkrec-*/*.ckpt"),
        "emotion_model": _model("emotion_*/*.ckpt"),
    }
    services = {"database": "healthy", "minio": "healthy", **models}
    return {"status": "healthy", "services": services}


def handler_of_errors(exc: Exception) -> None:
    logger.error(f"Unhandled exception: {exc}", exc_info=True)


class Api(server.Handler):
    health_path = "/health"

    def health(self) -> dict[str, object]:
        return asyncio.run(health_check())

    def do_GET(self) -> None:  # noqa: N802
        try:
            super().do_GET()
        except TypeError as error:
            server.say(f"Health check failed: {error}")
            self.answer(503, {"status": "unhealthy", "error": str(error)})


if __name__ == "__main__":
    server.main(Api, port=8000)
