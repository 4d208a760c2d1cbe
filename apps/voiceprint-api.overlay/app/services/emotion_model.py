"""The emotion model, loaded with the class that it brings, as the service wants to use it."""

from __future__ import annotations

from typing import Any, NamedTuple

from speechbrain.inference.interfaces import foreign_class


class Prediction(NamedTuple):
    probs: Any


class EmotionModel:
    """Answers with `probs`, and has the labels of its own training."""

    def __init__(self, classifier: Any) -> None:
        self._classifier = classifier
        self.label_encoder = classifier.hparams.label_encoder

    @classmethod
    def from_hparams(cls, source: str, savedir: str, run_opts: dict[str, str]) -> EmotionModel:
        """SpeechBrain's EncoderClassifier cannot load it: the model has no `compute_features`."""
        classifier = foreign_class(
            source=source,
            savedir=savedir,
            pymodule_file="custom_interface.py",
            classname="CustomEncoderWav2vec2Classifier",
            run_opts=run_opts,
        )
        return cls(classifier)

    def classify_file(self, path: str) -> Prediction:
        probabilities, *_ = self._classifier.classify_file(path)
        return Prediction(probabilities)
