"""A small dataset on disk and an encoder that needs no model."""

import json

import numpy as np

from streamproc.inference.protocols import Encoded

ROWS = {
    "train": [
        {"id": "t1", "title": "tea leaves", "tags": ["tea"], "category": "tea", "date": "2020-01-01"},
        {"id": "t2", "text": "coffee beans", "tags": ["coffee", "rare"], "category": "coffee"},
        {"id": "t3", "text": "tea pot", "tags": ["tea"]},
        {"id": "t4", "text": "coffee cup", "tags": ["coffee"]},
    ],
    "valid": [
        {"id": "v1", "text": "a cup of tea", "tags": ["tea"]},
        {"id": "v2", "text": "ground coffee", "tags": ["coffee"]},
    ],
    "test": [
        {"id": "e1", "text": "green tea", "tags": ["tea"]},
        {"id": "e2", "text": "black coffee", "tags": ["coffee", "elsewhere"]},
        {"id": "e3", "text": "milk", "tags": ["elsewhere"]},
    ],
}
TAGS = [
    {"tag": "tea", "description": "a hot drink"},
    {"tag": "coffee"},
    {"tag": "rare"},
    {"tag": "elsewhere"},
]


def write_dataset(directory, rows=ROWS, tags=TAGS):
    directory.mkdir(exist_ok=True)
    for name, lines in {**rows, "tags": tags}.items():
        (directory / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return directory


class WordEncoder:
    """Vectors of the words tea and coffee, with a part that tells texts apart."""

    dimension = 8
    weights_hash = "words"

    def __init__(self):
        self.texts = 0

    async def encode(self, texts):
        self.texts += len(texts)
        rows = np.full((len(texts), self.dimension), 0.1, dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            row[0] += text.count("tea")
            row[1] += text.count("coffee")
            row[2 + len(text) % 6] += 0.3
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return Encoded(rows, np.zeros(len(texts), dtype=bool))
