"""Ranking with a tagger trained on each set's own train: measured, never shipped.

    python -m benchmarks.ranking DATASETS_DIR test nyt_keywords papers_keywords …

Needs the ``train`` and ``baselines`` extras. Recall is fitted to the set's train, too. Prints one JSON
report a set.
"""

import sys
import tempfile
from pathlib import Path

import msgspec

from benchmarks.command import datasets_parser_of, needing, run
from streamproc.evaluation.dataset import Split, read_dataset
from streamproc.evaluation.prepared import prepare
from streamproc.evaluation.protocol import Subject, evaluate
from streamproc.evaluation.vectors import VectorCache
from streamproc.graph.thresholds import FITTED
from streamproc.inference.bundle import Bundle, default_bundle_path
from streamproc.inference.onnx import load_encoder, load_models
from streamproc.training.fusion import fit_recall

NOTES_A_SET = 8000


def main(root: Path, names: list[str], split: Split) -> None:
    """Train and measure on each set."""
    with needing("train"):
        from streamproc.training.tagger import Plan, train_models  # noqa: PLC0415 - an extra
    general = Bundle.load(default_bundle_path())
    cache = VectorCache(
        load_encoder(general),
        general.manifest.files[general.manifest.encoder.file],
        Path("~/.cache/streamproc/vectors"),
    )
    for name in names:
        prepared = prepare(read_dataset(root / name), cache)
        with tempfile.TemporaryDirectory() as scratch:
            bundle = Path(scratch) / name
            thresholds = fit_recall([prepared], FITTED)
            train_models([prepared], general, bundle, thresholds, Plan(name, notes_a_set=NOTES_A_SET), _say)
            subject = Subject(name, load_models(Bundle.load(bundle)), thresholds, trained_on=True)
            report = evaluate(prepared, subject, split=split, progress=_say)
        print(msgspec.json.format(msgspec.json.encode(report), indent=1).decode(), flush=True)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def command() -> None:
    """Read the arguments and measure."""
    given = datasets_parser_of(__doc__).parse_args()
    main(given.root, given.names, given.split)


if __name__ == "__main__":
    run(command)
