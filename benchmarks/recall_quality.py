"""Recall at 20 candidates, path by path.

    python -m benchmarks.recall_quality DATASETS_DIR test nyt_keywords papers_keywords …

The paths alone, all of them under the shipped bundle's weights, and under weights fitted to the set's own
train. History is train; vectors come from the cache.
"""

from dataclasses import replace
from pathlib import Path

from benchmarks.command import datasets_parser_of, run
from streamproc.evaluation.baselines import MATCHING, VOTES
from streamproc.evaluation.dataset import Split, read_dataset
from streamproc.evaluation.experiment import CANDIDATES
from streamproc.evaluation.metrics import hit_rate, right_candidates
from streamproc.evaluation.prepared import prepare, recall_all
from streamproc.evaluation.vectors import VectorCache
from streamproc.graph.thresholds import FITTED, PAPER, Thresholds
from streamproc.inference.bundle import Bundle, default_bundle_path
from streamproc.inference.onnx import load_encoder
from streamproc.training.fusion import fit_recall


def main(root: Path, split: Split, names: list[str]) -> None:
    """Print one row a set and method: #Right, HR#1, HR#2, HR#3."""
    bundle = Bundle.load(default_bundle_path())
    cache = VectorCache(
        load_encoder(bundle),
        bundle.manifest.files[bundle.manifest.encoder.file],
        Path("~/.cache/streamproc/vectors"),
    )
    shipped = Thresholds.of(bundle.manifest.recall)
    for name in names:
        prepared = prepare(read_dataset(root / name), cache)
        places = [place for place, each in enumerate(prepared.dataset.split(split)) if each.gold]
        notes = [prepared.dataset.split(split)[place] for place in places]
        gold = [each.gold for each in notes]
        vectors = prepared.vectors[split][places]
        hits = prepared.graph.nearest(vectors, tags=FITTED.nearest_tags, notes=FITTED.nearest_notes)
        lexical = replace(PAPER, delta_content_tag=1.1, delta_content_content=1.1, max_lexical=CANDIDATES)
        methods = {
            "C2T (matching)": MATCHING,
            "C2C2T (votes)": VOTES,
            "lexical": lexical,
            "paper's constants": PAPER,
            "shipped weights, without lexical": replace(shipped, max_lexical=0),
            "shipped weights": shipped,
            "weights fitted to train": fit_recall([prepared], shipped),
        }
        for method, thresholds in methods.items():
            recalled = recall_all(
                notes, hits, prepared.repository, replace(thresholds, candidates=CANDIDATES)
            )
            right = right_candidates([[tag.tag_id for tag in each.tags] for each in recalled], gold)
            rates = " ".join(f"{hit_rate(right, least):.3f}" for least in (1, 2, 3))
            print(f"{name:16} {method:34} {right.mean():.3f} {rates}", flush=True)


def command() -> None:
    """Read the arguments and measure."""
    given = datasets_parser_of(__doc__).parse_args()
    main(given.root, given.split, given.names)


if __name__ == "__main__":
    run(command)
