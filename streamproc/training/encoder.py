"""A fine-tuned encoder as a bundle: train, export, put in place."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np
import torch

from streamproc.errors import UserError
from streamproc.inference.bundle import write_manifest
from streamproc.inference.cores import available_cores
from streamproc.inference.manifest import Manifest, TrainingSet
from streamproc.training.base_encoder import BaseEncoder, default_base
from streamproc.training.contrastive import SentenceEncoder, fine_tune
from streamproc.training.encoder_data import EncoderData
from streamproc.training.export import export_bundle
from streamproc.training.journal import Journal
from streamproc.training.recipe import Recipe

__all__ = ["train_encoder"]

# Texts that show the export how far activations reach, and on which its int8 file is compared with the float form.
_SAMPLE = 300


def train_encoder(
    data: EncoderData,
    output: Path,
    recipe: Recipe,
    *,
    name: str,
    version: str,
    base: BaseEncoder | None = None,
    sets: tuple[TrainingSet, ...] = (),
    threads: int = 0,
    progress: Callable[[str, int, int], None] = lambda _what, _done, _all: None,
    say: Callable[[str], None] = lambda _line: None,
) -> Manifest:
    """Fine-tune an encoder and write a bundle that holds it and nothing else.

    Tagger, calibrator and fitted recall of other bundles read the similarities of another encoder, so
    none is taken along; a bundle without them is refused by whatever would tag with it.

    The run is saved beside the bundle, in ``<output>.training``; the same call goes on from there. The
    bundle appears as a whole or not at all.

    Args:
        data: notes and pairs.
        output: the bundle's directory; missing or empty.
        recipe: the numbers of the run; without an epoch the encoder is exported as it is.
        name: the bundle's name.
        version: the bundle's version.
        base: the encoder to start from; None: all-MiniLM-L6-v2.
        sets: the datasets, as the manifest is to record them.
        threads: of torch; 0 for as many as there are cores available.
        progress: told epoch, batches done, all batches.
        say: told what each epoch came to.

    Raises:
        UserError: the saved run is another one, or no epoch was better on valid than no training.
    """
    output = output.resolve()  # "." has no name to put anything beside, and a link goes on pointing to it
    torch.set_num_threads(threads or available_cores())
    untuned, sample = base or default_base(), _sample(data, recipe.seed)
    if not recipe.epochs:
        say("exporting")
        return _write(output, untuned, sample, name=name, version=version, changes="")
    journal = Journal(output.with_name(f"{output.name}.training"))
    encoder = SentenceEncoder(untuned, recipe.max_tokens)
    run = fine_tune(encoder, data, recipe, journal, progress=progress, say=say)
    if not run.best:
        shutil.rmtree(journal.directory)
        raise UserError(
            f"no epoch found more related notes of valid than the encoder as it was "
            f"(Recall@10 {run.epochs[0].recall:.4f}): nothing was written"
        )
    say("exporting")
    names = " and ".join(each.name for each in data.sets)
    taught = "" if data.teacher is None else f", taught by the encoder of {data.teacher.name}"
    with TemporaryDirectory() as tuned:
        encoder.model.save_pretrained(tuned)
        shutil.copy(untuned.directory / "tokenizer.json", tuned)
        manifest = _write(
            output,
            replace(untuned, directory=Path(tuned)),
            sample,
            name=name,
            version=version,
            changes=f"fine-tuned contrastively on {names}{taught} (seed {recipe.seed})",
            sets=sets,
        )
    shutil.rmtree(journal.directory)
    return manifest


def _write(
    output: Path,
    encoder: BaseEncoder,
    sample: Sequence[str],
    *,
    name: str,
    version: str,
    changes: str,
    sets: tuple[TrainingSet, ...] = (),
) -> Manifest:
    """Export the encoder beside the output and put it in place."""
    scratch = output.with_name(f"{output.name}.partial")
    shutil.rmtree(scratch, ignore_errors=True)
    manifest = export_bundle(encoder, scratch, sample, name=name, version=version, changes=changes)
    learnt = msgspec.structs.replace(manifest.encoder, training=sets)
    manifest = write_manifest(scratch, msgspec.structs.replace(manifest, encoder=learnt))
    if output.exists():
        output.rmdir()  # it is empty: whoever calls has seen to that
    scratch.rename(output)
    return manifest


def _sample(data: EncoderData, seed: int) -> list[str]:
    texts = [text for each in data.sets for text in each.texts]
    places = np.random.default_rng(seed).permutation(len(texts))[:_SAMPLE]
    return [texts[place] for place in places]
