"""Stand-in for the download: small files where the models are, and what they have to be."""

import hashlib
from pathlib import Path

MODELS = {
    "spkrec-ecapa-voxceleb": "embedding_model.ckpt",
    "emotion_recognition_emotion-recognition-wav2vec2-IEMOCAP": "wav2vec2.ckpt",
}

root = Path("pretrained_models")
sums = []
for model, name in MODELS.items():
    file = root / model / name
    file.parent.mkdir()
    file.write_bytes(model.encode() * 1000)
    sums.append(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.relative_to(root)}\n")
(root / "SHA256SUMS").write_text("".join(sums))
