"""Small datasets on disk, and models that are known by heart."""

import json
import re
import zlib

import numpy as np

from streamproc.graph.evidence import COLUMN
from streamproc.inference.protocols import Encoded, Models

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


HOBBIES = {
    "baking": "flour butter dough oven",
    "cycling": "wheel chain pedals saddle",
    "chess": "rook bishop pawn castle",
    "sailing": "mast anchor harbour keel",
    "knitting": "wool needles stitch yarn",
    "gardening": "soil seeds spade hedge",
}
"""Tag → the words of its notes, which are its definition, too."""


def write_hobbies(directory, *, names=None, learned=8):
    """Notes of one tag each that share two words with it and with each other: some to learn from, 2 to choose, 4 to test.

    Args:
        directory: to be made.
        names: tag → its name; the tag itself unless given.
        learned: notes of each tag to learn from.
    """
    rows = {"train": [], "valid": [], "test": []}
    for tag, words in HOBBIES.items():
        first, second, third, fourth = words.split()
        for number in range(learned + 6):
            text = f"{(first, third)[number % 2]} {(second, fourth)[number % 2]} day{number}"
            split = "train" if number < learned else "valid" if number < learned + 2 else "test"
            rows[split].append({"id": f"{tag}-{number}", "text": text, "tags": [tag]})
    tags = [
        {"tag_id": tag, "tag": (names or {}).get(tag, tag), "description": words}
        for tag, words in HOBBIES.items()
    ]
    return write_dataset(directory, rows, tags)


class BagEncoder:
    """Vectors of the words of a text, each word with a direction of its own."""

    dimension = 64
    weights_hash = "bag"

    async def encode(self, texts):
        rows = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            row[0] = 0.1
            for word in re.findall(r"[a-z]+", text.lower()):
                row[1 + zlib.crc32(word.encode()) % (self.dimension - 1)] += 1
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return Encoded(rows, np.zeros(len(texts), dtype=bool))


class Weigher:
    """Tagger and calibrator in one: the more votes and the nearer a tag, the surer; the calibrator is twice as sure."""

    version = "1"

    async def score(self, requests):
        return [
            (8 * each.evidence[:, COLUMN["vote_sharp"]] + 4 * each.evidence[:, COLUMN["cosine"]] - 4).astype(
                np.float32
            )
            for each in requests
        ]

    async def judge(self, requests, logits):
        return [(1 / (1 + np.exp(-2 * each))).astype(np.float32) for each in logits]


async def _nothing():
    pass


MODELS = Models(BagEncoder(), Weigher(), Weigher(), _nothing)
"""Models that are known by heart."""
