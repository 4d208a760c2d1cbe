"""The models for the CPU, as upstream names them: sense_voice.py:43-46."""

from funasr import AutoModel

MODELS = {
    "model": "iic/SenseVoiceSmall",
    "vad_model": "fsmn-vad",
}


def load() -> AutoModel:
    return AutoModel(**MODELS)
