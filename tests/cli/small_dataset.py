"""A dataset of a few notes whose tags stand in their texts."""

import json

import pytest

NOTES = 6
TAGS = ["night trains", "tea"]


@pytest.fixture
def dataset(tmp_path):
    """The directory. Its name is one by which the category is known to give nothing away."""
    directory = tmp_path / "samples"
    directory.mkdir()
    train = [
        {
            "id": f"t{n}",
            "title": f"Number {n}",
            "text": f"All about {TAGS[n % 2]} of kind {n}",
            "tags": [TAGS[n % 2]],
            "category": "travel",
            "images": [{"url": f"https://pictures.example/{n}.jpg"}],
        }
        for n in range(NOTES)
    ]
    files = {
        "train": train,
        "valid": [{"id": "v", "text": "tea leaves", "tags": ["tea"]}],
        "test": [{"id": "e", "text": "on night trains", "tags": ["night trains"]}],
        "tags": [{"tag": tag} for tag in TAGS],
    }
    for name, lines in files.items():
        (directory / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return directory
