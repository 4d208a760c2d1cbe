"""The models for a card, as upstream names them: paraformer.py:42-46."""

from funasr import AutoModel

MODELS = {
    "model": "paraformer-zh",
    "vad_model": "fsmn-vad",
    "punc_model": "ct-punc-c",
}


def load() -> AutoModel:
    return AutoModel(**MODELS)
