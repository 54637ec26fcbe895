"""Confidences before and after they are fitted to a dataset's own history, leave-one-out.

    python -m benchmarks.calibration DATASETS_DIR valid nyt_keywords papers_keywords …

History is train; up to 3,000 notes of it are recalled as if they were new and the map is fitted to them, as ``demo``,
``tag`` and ``calibrate confidence --history`` do. Nothing of valid or test is used but to measure. Prints one line of
JSON a set: ECE is that of the tags emitted at .5 (15 bins of equal mass) beside what confidences that are exactly right
would show (1,000 resamples), ``skill`` the Brier skill over all candidates by how often their tag occurs in train, for
buckets of 200 tags and more.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.command import datasets_parser_of, run
from streamproc.calibration.choice import MOST_NOTES, fit_confidences
from streamproc.calibration.figures import figures_of
from streamproc.calibration.sample import Sample, confidence_of
from streamproc.evaluation.calibration_sample import dataset_sample
from streamproc.evaluation.dataset import Split, read_dataset
from streamproc.evaluation.metrics import ndcg_at, precision_at
from streamproc.evaluation.prepared import Prepared, prepare
from streamproc.evaluation.vectors import VectorCache
from streamproc.graph.thresholds import Thresholds
from streamproc.inference.bundle import Bundle, default_bundle_path
from streamproc.inference.calibration import Identity
from streamproc.inference.calibration_file import map_of, with_map
from streamproc.inference.onnx import load_encoder, load_models

BUCKETS = ((0, 2), (3, 5), (6, 20), (21, 100), (101, 10**9))
BUCKET_TAGS = 200

Float64 = npt.NDArray[np.float64]


def main(root: Path, split: Split, names: Sequence[str], bundle: Bundle, *, most: int, history: int) -> None:
    """Fit and measure each set."""
    encoder = load_encoder(bundle)
    cache = VectorCache(
        encoder, bundle.manifest.files[bundle.manifest.encoder.file], Path("~/.cache/streamproc/vectors")
    )
    models = load_models(with_map(bundle, Identity()))
    thresholds = Thresholds.of(bundle.manifest.recall)
    for name in names:
        prepared = prepare(read_dataset(root / name), cache)
        began = time.monotonic()
        # The gate for notes without a tag is `eval --hold-out-single`'s to measure: no note is recalled a second time.
        labelled = dataset_sample(
            prepared, Split.TRAIN, thresholds, models, most=history, outside=False
        ).inside
        judged = time.monotonic()
        fitted = fit_confidences(labelled, map_of(bundle))
        fit_seconds = time.monotonic() - judged
        unseen = dataset_sample(prepared, split, thresholds, models, most=most, outside=False).inside
        line = {
            "dataset": name,
            "split": split.value,
            "bundle": f"{bundle.manifest.name}-{bundle.manifest.version}",
            "fitted_to": labelled.notes,
            "form": fitted.form,
            "judging_seconds": round(judged - began, 1),
            "fit_seconds": round(fit_seconds, 1),
            "notes": unseen.notes,
            "before": _measured(prepared, unseen, confidence_of(unseen, map_of(bundle))),
            "after": _measured(prepared, unseen, confidence_of(unseen, fitted.calibration)),
        }
        print(json.dumps(line), flush=True)
    asyncio.run(models.close())


def _measured(prepared: Prepared, sample: Sample, confidence: Float64) -> dict[str, object]:
    found = figures_of(confidence, sample.right, sample.note, sample.notes)
    ranked: list[list[str]] = [[] for _ in sample.gold]
    for row in np.lexsort((-confidence, sample.note)):
        ranked[sample.note[row]].append(sample.tag[row])
    return {
        "ece": round(found.error, 4),
        "floor": round(found.floor, 4),
        "excess": round(found.error - found.floor, 4),
        "tags_a_note": round(found.tags_a_note, 3),
        "right": round(found.right, 3),
        "confidence": round(found.confidence, 3),
        "coverage_1": round(found.coverage, 3),
        "brier": round(found.brier, 5),
        "p_1": round(float(precision_at(ranked, sample.gold, 1).mean()), 3),
        "ndcg_5": round(float(ndcg_at(ranked, sample.gold, 5).mean()), 3),
        "skill": _skill(prepared, sample, confidence),
    }


def _skill(prepared: Prepared, sample: Sample, confidence: Float64) -> dict[str, float]:
    """Brier skill against the share of right candidates of the bucket."""
    uses = Counter(tag for each in prepared.dataset.train for tag in each.gold)
    frequency = np.array([uses[tag] for tag in sample.tag])
    known = np.array([uses[tag.tag_id] for tag in prepared.dataset.tags])
    skills = {}
    for low, high in BUCKETS:
        if ((known >= low) & (known <= high)).sum() < BUCKET_TAGS:
            continue
        rows = (frequency >= low) & (frequency <= high)
        right = sample.right[rows].astype(float)
        if rows.any() and 0 < right.mean() < 1:
            error = np.square(confidence[rows] - right).mean()
            skills[f"{low}-{high}"] = round(float(1 - error / (right.mean() * (1 - right.mean()))), 3)
    return skills


def command() -> None:
    """Read the arguments and measure."""
    parser = datasets_parser_of(__doc__)
    parser.add_argument("--bundle", type=Path, default=default_bundle_path())
    parser.add_argument("--most", type=int, default=100_000, help="notes that are measured")
    parser.add_argument("--history", type=int, default=MOST_NOTES, help="notes that the map is fitted to")
    given = parser.parse_args()
    main(
        given.root,
        given.split,
        given.names,
        Bundle.load(given.bundle),
        most=given.most,
        history=given.history,
    )


if __name__ == "__main__":
    run(command)
