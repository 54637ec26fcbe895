"""What students learn from a local teacher: P@1 and nDCG@5 of teacher and students on the same recalled notes.

    python -m benchmarks.distillation DATASETS_DIR/biotools_edam valid --notes 1000 \
        --teacher TEACHER --alone STUDENT … --taught STUDENT …

All students must have one encoder and one recall, and come from ``streamproc train tagger``; the teacher may have its own. Each
is ranked by the confidences that it serves, as in ``streamproc eval``. Last comes how much students with a teacher exceed those without, the
mean over seeds, with its 95 % interval over resampled notes.
"""

import asyncio
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.command import parser_of, run
from streamproc.errors import UserError
from streamproc.evaluation.dataset import LabelledNote, Split, read_dataset
from streamproc.evaluation.metrics import ndcg_at, paired_bootstrap, precision_at
from streamproc.evaluation.prepared import prepare, recall_all
from streamproc.evaluation.scoring import score
from streamproc.evaluation.vectors import VectorCache
from streamproc.graph.recall import Recalled
from streamproc.graph.thresholds import Thresholds
from streamproc.inference.bundle import Bundle
from streamproc.inference.onnx import load_models

Float64 = npt.NDArray[np.float64]


class Notes:
    """A draw of a file's labelled notes, the same for all bundles, and their candidates by the recall of one of them."""

    def __init__(self, dataset: Path, split: Split, most: int | None, bundle: Bundle) -> None:
        models = load_models(bundle, 1)
        encoder_file = bundle.manifest.files[bundle.manifest.encoder.file]
        cache = VectorCache(models.encoder, encoder_file, Path("~/.cache/streamproc/vectors"))
        prepared = prepare(read_dataset(dataset), cache)
        asyncio.run(models.close())
        self.recall = bundle.manifest.recall
        thresholds = Thresholds.of(self.recall)
        whole = prepared.dataset.split(split)
        labelled = np.array([place for place, each in enumerate(whole) if each.gold], dtype=np.int64)
        places = np.sort(np.random.default_rng(0).permutation(labelled)[:most])
        self.notes: list[LabelledNote] = [whole[place] for place in places]
        hits = prepared.graph.nearest(
            prepared.vectors[split][places], tags=thresholds.nearest_tags, notes=thresholds.nearest_notes
        )
        self.recalled: list[Recalled] = recall_all(self.notes, hits, prepared.repository, thresholds)
        self.encoder = bundle.manifest.encoder

    def ranked_by(self, bundle: Bundle) -> tuple[Float64, Float64]:
        """P@1 and nDCG@5 of each note, float64[notes] each."""
        if (bundle.manifest.encoder, bundle.manifest.recall) != (self.encoder, self.recall):
            raise UserError(
                f"{bundle.path} recalls otherwise than the first student: start from the same bundle"
            )
        models = load_models(bundle, 1)
        scored = score(self.notes, self.recalled, models)
        asyncio.run(models.close())
        return precision_at(scored.ranked, scored.gold, 1), ndcg_at(scored.ranked, scored.gold, 5)


def main() -> None:
    """Print one row a bundle, and the difference that the teacher makes."""
    parser = parser_of(__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("split", type=Split, choices=list(Split))
    parser.add_argument("--notes", type=int, help="drawn at random; all unless given")
    parser.add_argument("--teacher", type=Path, required=True)
    for students in ("--alone", "--taught"):
        parser.add_argument(students, type=Path, nargs="+", required=True, help="of one seed each, in order")
    given = parser.parse_args()
    draw = (given.dataset, given.split, given.notes)
    notes = Notes(*draw, Bundle.load(given.alone[0]))
    print(f"{len(notes.notes)} notes of {given.split}\nbundle P@1 nDCG@5", flush=True)
    figures = {}
    for path in (*given.alone, *given.taught):
        figures[path] = notes.ranked_by(Bundle.load(path))
        _show(path, figures[path])
    teacher = Bundle.load(given.teacher)
    _show(given.teacher, Notes(*draw, teacher).ranked_by(teacher))
    for number, name in enumerate(("P@1", "nDCG@5")):
        alone, taught = (
            np.mean([figures[path][number] for path in paths], axis=0)
            for paths in (given.alone, given.taught)
        )
        gain = paired_bootstrap(taught, alone)
        print(f"{name}: taught − alone {gain.mean:+.4f} ({gain.low:+.4f} to {gain.high:+.4f})", flush=True)


def _show(path: Path, figures: tuple[Float64, Float64]) -> None:
    print(path.name, *(f"{each.mean():.4f}" for each in figures), flush=True)


if __name__ == "__main__":
    run(main)
