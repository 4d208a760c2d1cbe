"""Makes models with random weights, in the layout that SpeechBrain downloads: DIRECTORY.

python voice_models.py DIRECTORY
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from hyperpyyaml import load_hyperpyyaml

SPEAKER = """
compute_features: !new:speechbrain.lobes.features.Fbank {n_mels: 80}
mean_var_norm: !new:speechbrain.processing.features.InputNormalization
    norm_type: sentence
    std_norm: False
embedding_model: !new:speechbrain.lobes.models.ECAPA_TDNN.ECAPA_TDNN
    input_size: 80
    channels: [64, 64, 64, 64, 192]
    kernel_sizes: [5, 3, 3, 3, 1]
    dilations: [1, 2, 3, 4, 1]
    attention_channels: 32
    lin_neurons: 64
modules:
    compute_features: !ref <compute_features>
    mean_var_norm: !ref <mean_var_norm>
    embedding_model: !ref <embedding_model>
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables: {embedding_model: !ref <embedding_model>}
"""
EMOTION = """
features: !new:speechbrain.lobes.features.Fbank {n_mels: 80}
output_mlp: !new:speechbrain.nnet.linear.Linear {input_size: 80, n_neurons: 4}
label_encoder: !new:speechbrain.dataio.encoder.CategoricalEncoder
softmax: !new:speechbrain.nnet.activations.Softmax
modules:
    features: !ref <features>
    output_mlp: !ref <output_mlp>
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables: {output_mlp: !ref <output_mlp>, label_encoder: !ref <label_encoder>}
"""
LABELS = "'neu' => 0\n'ang' => 1\n'hap' => 2\n'sad' => 3\n================\n'starting_index' => 0\n"
INTERFACE = '''
import torch
from speechbrain.inference.interfaces import Pretrained


class CustomEncoderWav2vec2Classifier(Pretrained):
    """Answers as the real class: probabilities, score, index, label."""

    MODULES_NEEDED = ["features", "output_mlp"]

    def classify_file(self, path):
        features = self.mods.features(self.load_audio(path).unsqueeze(0))
        probabilities = self.hparams.softmax(self.mods.output_mlp(features.mean(dim=1)))
        score, index = torch.max(probabilities, dim=-1)
        return probabilities, score, index, self.hparams.label_encoder.decode_torch(index)
'''


def main(directory: Path) -> None:
    torch.manual_seed(1)
    speaker = directory / "spkrec-ecapa-voxceleb"
    emotion = directory / "emotion_recognition_emotion-recognition-wav2vec2-IEMOCAP"
    for place, text, name in (
        (speaker, SPEAKER, "embedding_model"),
        (emotion, EMOTION, "output_mlp"),
    ):
        place.mkdir(parents=True, exist_ok=True)
        (place / "hyperparams.yaml").write_text(text)
        model = load_hyperpyyaml(text)[name]
        torch.save(model.state_dict(), place / f"{name}.ckpt")
    (emotion / "label_encoder.ckpt").write_text(LABELS)
    (emotion / "custom_interface.py").write_text(INTERFACE)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
