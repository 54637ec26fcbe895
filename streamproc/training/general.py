"""The general bundle made anew, from the datasets that it names."""

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from streamproc.errors import BundleError, UserError
from streamproc.evaluation.dataset import read_dataset
from streamproc.evaluation.prepared import prepare
from streamproc.evaluation.vectors import VectorCache
from streamproc.graph.thresholds import Thresholds
from streamproc.inference.bundle import Bundle, write_manifest
from streamproc.inference.manifest import Manifest
from streamproc.inference.onnx import load_encoder
from streamproc.inference.protocols import Encoder
from streamproc.training.encoder import train_encoder
from streamproc.training.encoder_data import encoder_data
from streamproc.training.recipe import Recipe
from streamproc.training.tagger import Plan, train_models

__all__ = ["make_again"]

OpenCache = Callable[[Encoder, Bundle], VectorCache]
"""Opens what is kept of the vectors of a bundle's encoder."""


def make_again(
    shipped: Manifest,
    directories: Sequence[Path],
    output: Path,
    *,
    vectors: OpenCache,
    threads: int = 0,
    say: Callable[[str], None] = lambda _line: None,
) -> Manifest:
    """Export all-MiniLM-L6-v2, train tagger and calibrator as they were trained, write the bundle.

    Recall is taken over: its weights were rounded by hand. The encoder's sample of texts, every draw and every initial weight
    come from recorded seeds, so the same versions of torch and onnxruntime on the same kind of processor give the same files.

    Args:
        shipped: the bundle to make again.
        directories: of the datasets that it names, in their order; see ``provenance.find_sets``.
        output: the bundle's directory; missing or empty.
        vectors: opens the vectors that are kept.
        threads: of the encoder; 0 for as many as there are cores available.
        say: told what is being done.

    Raises:
        BundleError: the bundle does not say how it was trained.
        UserError: its encoder is another one; nothing is written then.
    """
    training, tagger = shipped.training, shipped.tagger
    if training is None or tagger is None:
        raise BundleError(f"bundle {shipped.name}-{shipped.version} does not say how it was trained")
    datasets = [read_dataset(each) for each in directories]
    recipe = Recipe(epochs=0)
    plan = Plan(
        tagger.version,
        notes_a_set=training.notes_a_set,
        sets=training.sets,
        networks=training.networks,
        passes=training.passes,
        seed=training.seed,
    )
    with TemporaryDirectory() as scratch:
        alone = Path(scratch) / "encoder"
        made = train_encoder(
            encoder_data(datasets, recipe),
            alone,
            recipe,
            name=shipped.name,
            version=shipped.version,
            threads=threads,
            say=say,
        )
        if made.encoder.float_sha256 != shipped.encoder.float_sha256:
            raise UserError(
                f"the encoder of bundle {shipped.name}-{shipped.version} is not all-MiniLM-L6-v2 as it is published: use streamproc "
                "train encoder, calibrate recall and train tagger"
            )
        base = Bundle(alone, write_manifest(alone, msgspec.structs.replace(made, recall=shipped.recall)))
        encoder = load_encoder(base, threads)
        cache = vectors(encoder, base)
        prepared = [prepare(each, cache) for each in datasets]
        encoder.pool.close()
        return train_models(prepared, base, output, Thresholds.of(shipped.recall), plan, say)
