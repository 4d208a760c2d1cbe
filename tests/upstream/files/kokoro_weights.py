#!/usr/bin/env python3
"""Random weights in the shape of Kokoro-82M: speech without words, made by the real code."""

from pathlib import Path

import torch
from kokoro.model import KModel

PARTS = ("bert", "bert_encoder", "predictor", "decoder", "text_encoder")


def main() -> None:
    config = Path(__file__).with_name("config.json")
    torch.manual_seed(0)
    load, torch.load = torch.load, lambda *_, **__: {}
    model = KModel(repo_id="hexgrad/Kokoro-82M", config=str(config), model="none")
    torch.load = load
    # Short sounds: two frames for each, whatever the text.
    duration = model.predictor.duration_proj.linear_layer
    torch.nn.init.zeros_(duration.weight)
    torch.nn.init.constant_(duration.bias, -3)
    torch.save({part: getattr(model, part).state_dict() for part in PARTS}, "kokoro-v1_0.pth")


main()
