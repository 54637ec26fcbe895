"""`streamproc demo --once` on whole datasets: does every note come out, how long does it take, is a second start fast?

    python -m benchmarks.demo_datasets DATA_DIR [reddit_subs1000 biotools_edam]

The first 500 test notes are streamed over the whole of train as history. Labels are taken off the streamed notes, and
`category` off notes and history where it gives the label away (it is kept on biotools_edam only).
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import orjson

from benchmarks.command import parser_of, run

STREAMED = 500
CATEGORY_IS_SAFE = {"biotools_edam", "nyt_keywords"}


def main() -> None:
    """Run the demo twice on each dataset and print the summaries."""
    parser = parser_of(__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("names", nargs="*", default=["reddit_subs1000", "biotools_edam"])
    options = parser.parse_args()
    for name in options.names:
        with tempfile.TemporaryDirectory() as scratch:
            _measure(options.data / name, Path(scratch))


def _measure(dataset: Path, scratch: Path) -> None:
    category = dataset.name in CATEGORY_IS_SAFE
    notes = _written(scratch / "notes.jsonl", _rows(dataset / "test.jsonl", labels=False, category=category))
    history = _written(
        scratch / "history.jsonl", _rows(dataset / "train.jsonl", labels=True, category=category)
    )
    for start in ("first", "second"):
        summary = scratch / "summary.json"
        began = time.monotonic()
        subprocess.run(
            [
                sys.executable,
                "-c",
                "from streamproc.cli import main; main()",
                "demo",
                "--once",
                "--notes",
                str(notes),
                "--tags",
                str(dataset / "tags.jsonl"),
                "--history",
                str(history),
                "--summary",
                str(summary),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            env={"STREAMPROC_CACHE_DIR": str(scratch / "cache"), "PATH": "/usr/bin:/bin"},
        )
        print(
            f"{dataset.name}, {start} start: {time.monotonic() - began:.1f} s in all; {summary.read_text().strip()}"
        )


def _rows(path: Path, *, labels: bool, category: bool) -> Iterator[bytes]:
    with path.open("rb") as file:
        for number, line in enumerate(file):
            if not labels and number == STREAMED:
                return
            row = orjson.loads(line)
            if not labels:
                row.pop("tags", None)
            if not category:
                row.pop("category", None)
            yield orjson.dumps(row)


def _written(path: Path, rows: Iterator[bytes]) -> Path:
    with path.open("wb") as file:
        file.writelines(row + b"\n" for row in rows)
    return path


if __name__ == "__main__":
    run(main)
