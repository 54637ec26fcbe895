"""``streamproc distill --local``: a bundle that knows more labels notes that it has not seen."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from streamproc.cli.bundles import open_bundle, vector_cache
from streamproc.cli.progress import loading_progress
from streamproc.cli.teacher_labels import write_labels
from streamproc.config import load_settings
from streamproc.errors import UserError

if TYPE_CHECKING:  # heavy imports: a quick --help
    from streamproc.evaluation.dataset import Split

__all__ = ["label_with_bundle"]


def label_with_bundle(
    teacher: Path,
    dataset: Path,
    split: "Split",
    output: Path,
    *,
    most: int | None,
    candidates: int | None,
    seed: int,
) -> None:
    """Write a local teacher's soft labels of a dataset's notes.

    Args:
        teacher: directory of its bundle.
        dataset: directory of the dataset.
        split: whose notes.
        output: the file of labels; it appears complete or not at all.
        most: so many notes, drawn at random; None: all that the teacher has not seen.
        candidates: as many a note at most; None: all that its recall brings.
        seed: of the draw.

    Raises:
        UserError: the bundle may not teach these notes, or nothing is left to label.
    """
    from streamproc.evaluation.dataset import read_dataset  # noqa: PLC0415 - a quick --help
    from streamproc.evaluation.prepared import prepare  # noqa: PLC0415
    from streamproc.graph.thresholds import Thresholds  # noqa: PLC0415
    from streamproc.inference.onnx import load_models  # noqa: PLC0415
    from streamproc.training.local_teacher import label_notes, teaching_tagger, unseen_places  # noqa: PLC0415

    bundle = open_bundle(teacher)
    tagger = teaching_tagger(bundle)
    read = read_dataset(dataset)
    places = unseen_places(read, tagger, bundle.manifest.training, split)
    if not places:
        raise UserError(f"{dataset}/{split}.jsonl has no labelled note that {teacher} was not trained on")
    models = load_models(bundle, load_settings().inference_threads)
    prepared = prepare(read, vector_cache(models.encoder, bundle))
    thresholds = Thresholds.of(bundle.manifest.recall)
    if candidates is not None:
        thresholds = replace(thresholds, candidates=candidates)
    name = f"{bundle.manifest.name}-{bundle.manifest.version}, tagger {tagger.version}"
    with loading_progress() as progress:
        taught = label_notes(
            prepared,
            thresholds,
            models,
            split,
            places,
            teacher=name,
            most=most,
            seed=seed,
            progress=lambda done, total: progress(f"labelling with {name}", done, total),
        )
    asyncio.run(models.close())
    write_labels(output, taught, read.split(split), name)
