"""Downloads the models into the image; ends with an error if one cannot be loaded.

HF_ENDPOINT names the site. What is already there is not downloaded again.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from app.core.config import settings  # noqa: E402
from app.services.emotion_model import EmotionModel  # noqa: E402
from speechbrain.inference.speaker import SpeakerRecognition  # noqa: E402

# Where the services look for them.
MODELS = ROOT / "pretrained_models"


def main() -> None:
    voiceprint, emotion = settings.VOICEPRINT_MODEL, settings.EMOTION_MODEL
    for kind, source, prefix in (
        (SpeakerRecognition, voiceprint, ""),
        (EmotionModel, emotion, "emotion_recognition_"),
    ):
        directory = MODELS / f"{prefix}{source.split('/')[-1]}"
        kind.from_hparams(source=source, savedir=str(directory), run_opts={"device": "cpu"})
    print(f"loaded {voiceprint} and {emotion}")


if __name__ == "__main__":
    main()
