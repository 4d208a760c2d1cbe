"""In place of MinerU's model weights: finds lines of text by their dark pixels, all one paragraph.

All else of MinerU is real: the text comes out of the PDF. The worker imports this first.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

# The compiled part of torchvision needs CUDA's libraries; only a model would call it.
for name in ("nms", "qnms"):
    torch.library.define(f"torchvision::{name}", "(Tensor a, Tensor b, float c) -> Tensor")

from mineru.backend.pipeline import pipeline_analyze  # noqa: E402
from mineru.utils import block_sort  # noqa: E402

TEXT, LINE = 1, 15


def analyze(images: list[tuple[Any, ...]], *_: object) -> list[list[dict[str, Any]]]:
    return [_page(image[0]) for image in images]


def _page(image: Any) -> list[dict[str, Any]]:
    dark = np.asarray(image.convert("L")) < 128
    rows = np.flatnonzero(np.diff(np.pad(dark.any(axis=1), 1).astype(int)))
    columns = np.flatnonzero(dark.any(axis=0))
    if not columns.size:
        return []
    left, right = int(columns[0]) - 4, int(columns[-1]) + 4
    lines = [(int(top) - 2, int(end) + 2) for top, end in zip(rows[::2], rows[1::2], strict=True)]
    found = [_box(LINE, left, top, right, end) | {"text": ""} for top, end in lines]
    return [_box(TEXT, left, lines[0][0], right, lines[-1][1]), *found]


def _box(kind: int, left: int, top: int, right: int, end: int) -> dict[str, Any]:
    corners = [left, top, right, top, right, end, left, end]
    return {"category_id": kind, "poly": corners, "score": 0.95}


def in_order(boxes: list[list[int]], _: object) -> list[int]:
    return sorted(range(len(boxes)), key=lambda number: (boxes[number][1], boxes[number][0]))


class Order:
    """In place of the model that sorts lines."""

    def get_model(self, _: str) -> None:
        return None


pipeline_analyze.batch_image_analyze = analyze
block_sort.ModelSingleton = Order
block_sort.do_predict = in_order
