"""Notes on tea and notes on coffee, each with two tags, that an untrained encoder mixes up."""

from itertools import product

from tests.evaluation.worlds import write_dataset

TAGS = [{"tag": "tea"}, {"tag": "pot"}, {"tag": "coffee"}, {"tag": "cup"}]


def _rows(split, fillers):
    return [
        {
            "id": f"{split}-{word}-{place}",
            "text": f"{filler} {word} {('hot', 'cold')[place % 2]}",
            "tags": tags,
        }
        for place, filler in enumerate(fillers)
        for word, tags in (("tea", ["tea", "pot"]), ("coffee", ["coffee", "cup"]))
    ]


def write_drinks(directory):
    fillers = [" ".join(each) for each in product(("a", "the", "of"), ("milk", "green", "black", "the"))]
    rows = {"train": _rows("t", fillers), "valid": _rows("v", fillers[::-1]), "test": _rows("e", fillers[:2])}
    return write_dataset(directory, rows, TAGS)
