"""Related notes that vectors find, and right tags among 20 candidates, encoder by encoder.

    python -m benchmarks.related_notes DATASETS_DIR/nyt_keywords … --bundle BUNDLE --bundle … --split test

The first row is the shipped bundle's encoder. Related notes of a note of the split are the notes of train that
share two tags or more with it. #Right is of C2T alone, of C2C2T alone, and of all paths under weights fitted to
the set's own train. Needs no tagger: a bundle straight from ``streamproc train encoder`` will do.
"""

import sys
from dataclasses import replace
from pathlib import Path

from benchmarks.command import parser_of, run
from streamproc.evaluation.baselines import MATCHING, VOTES
from streamproc.evaluation.dataset import Dataset, Split, read_dataset
from streamproc.evaluation.experiment import CANDIDATES
from streamproc.evaluation.metrics import right_candidates
from streamproc.evaluation.prepared import prepare, recall_all
from streamproc.evaluation.related import measure_related, sharing_tags
from streamproc.evaluation.vectors import VectorCache
from streamproc.graph.thresholds import FITTED
from streamproc.inference.bundle import Bundle, default_bundle_path
from streamproc.inference.onnx import load_encoder
from streamproc.training.fusion import fit_recall


def main(datasets: list[Path], bundles: list[Path], split: Split) -> None:
    """Print one row a set and bundle."""
    print(
        f"{'set':16} {'bundle':16} Recall@10 of-attainable hit-rate | #Right matching votes fitted",
        flush=True,
    )
    for directory in datasets:
        dataset = read_dataset(directory)
        for bundle in [Bundle.load(default_bundle_path()), *map(Bundle.load, bundles)]:
            print(_row(dataset, bundle, split), flush=True)


def _row(dataset: Dataset, bundle: Bundle, split: Split) -> str:
    encoder = load_encoder(bundle)
    prepared = prepare(
        dataset,
        VectorCache(
            encoder,
            bundle.manifest.files[bundle.manifest.encoder.file],
            Path("~/.cache/streamproc/vectors"),
            progress=lambda done, total: print(f"encoded {done} of {total}", file=sys.stderr),
        ),
    )
    encoder.pool.close()
    found = measure_related(
        prepared.vectors[split],
        prepared.vectors[Split.TRAIN],
        sharing_tags(
            [each.gold for each in dataset.split(split)],
            [each.gold for each in dataset.train],
            1 if dataset.single_tag else 2,
        ),
    )
    places = [place for place, each in enumerate(dataset.split(split)) if each.gold]
    notes = [dataset.split(split)[place] for place in places]
    hits = prepared.graph.nearest(
        prepared.vectors[split][places], tags=FITTED.nearest_tags, notes=FITTED.nearest_notes
    )
    right = []
    for thresholds in (MATCHING, VOTES, fit_recall([prepared], FITTED)):
        recalled = recall_all(notes, hits, prepared.repository, replace(thresholds, candidates=CANDIDATES))
        candidates = [[tag.tag_id for tag in each.tags] for each in recalled]
        right.append(right_candidates(candidates, [each.gold for each in notes]).mean())
    related = f"{found.recall:.4f} {found.attainable:.4f} {found.hit_rate:.3f}" if found else "none related"
    name = f"{bundle.manifest.name}-{bundle.manifest.version}"
    return f"{dataset.name:16} {name:16} {related} | {' '.join(f'{each:.3f}' for each in right)}"


def command() -> None:
    """Read the arguments and measure."""
    parser = parser_of(__doc__)
    parser.add_argument("datasets", type=Path, nargs="+")
    parser.add_argument("--bundle", type=Path, action="append", default=[])
    parser.add_argument("--split", type=Split, default=Split.TEST)
    given = parser.parse_args()
    main(given.datasets, given.bundle, given.split)


if __name__ == "__main__":
    run(command)
