"""Label-marker models as ONNX files: float, and int8 with the encoder's own table of words.

The table is half of a small model. It stays frozen in training, so every model of a bundle has the same,
and an int8 file refers to the bytes of the table inside the encoder's file.
"""

import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx
import torch
from onnx import TensorProto

from streamproc.errors import BundleError
from streamproc.training.export import quantize
from streamproc.training.marker import MarkerModel

__all__ = ["export_marker", "share_words"]

_OPSET = 18
_IR_VERSION = 8
_WORDS = "words.weight"
_ENCODER_WORDS = "embeddings.word_embeddings.weight_quantized"


def export_marker(model: MarkerModel, file: Path, output: str) -> None:
    """Write the float form: ``note_ids, candidate_ids, evidence`` → ``output``.

    Args:
        model: on the CPU; it is switched to evaluation.
        file: to write.
        output: name of its output.
    """
    model.eval()
    note_ids = torch.randint(1000, 20_000, (2, 11))
    candidate_ids = torch.randint(1000, 20_000, (2, 5, 7))
    evidence = torch.randn(2, 5, model.config.features)
    file.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        # The shapes that tracing takes for constants are those of the weights.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            (note_ids, candidate_ids, evidence),
            str(file),
            input_names=["note_ids", "candidate_ids", "evidence"],
            output_names=[output],
            dynamic_axes={
                "note_ids": {0: "batch", 1: "tokens"},
                "candidate_ids": {0: "batch", 1: "candidates", 2: "candidate_tokens"},
                "evidence": {0: "batch", 1: "candidates"},
                output: {0: "batch", 1: "candidates"},
            },
            opset_version=_OPSET,
            dynamo=False,
        )
    written = onnx.load(file)
    written.ir_version = _IR_VERSION
    onnx.checker.check_model(written, full_check=True)
    onnx.save(written, file)


def quantize_marker(float_file: Path, int8_file: Path, encoder_file: Path) -> None:
    """Write the int8 form, which reads its table of words from the encoder's file.

    Args:
        float_file: the float form.
        int8_file: to write, in the bundle's directory.
        encoder_file: the bundle's encoder, in the same directory or below it.

    Raises:
        BundleError: the encoder's table is another.
    """
    with TemporaryDirectory() as scratch:
        own = Path(scratch) / "model.onnx"
        quantize(float_file, own)
        share_words(own, int8_file, encoder_file)


def share_words(file: Path, shared_file: Path, encoder_file: Path) -> None:
    """Write a model whose table of words is a reference to the encoder's.

    Args:
        file: an int8 model with a table of its own.
        shared_file: to write.
        encoder_file: in the directory of ``shared_file`` or below it: runtimes read nothing from elsewhere.

    Raises:
        BundleError: the encoder's table is another.
    """
    model = onnx.load(file)
    table = _initializer(model, f"{_WORDS}_quantized")
    encoder = _initializer(onnx.load(encoder_file), _ENCODER_WORDS)
    place = encoder_file.read_bytes().find(encoder.raw_data)
    if table.raw_data != encoder.raw_data or place < 0:
        raise BundleError(
            f"{encoder_file} has another table of words than the model: they must come from one checkpoint"
        )
    size = len(table.raw_data)
    table.ClearField("raw_data")
    table.data_location = TensorProto.EXTERNAL
    for key, value in (
        ("location", encoder_file.relative_to(shared_file.parent).as_posix()),
        ("offset", str(place)),
        ("length", str(size)),
    ):
        table.external_data.add(key=key, value=value)
    shared_file.parent.mkdir(parents=True, exist_ok=True)
    shared_file.write_bytes(model.SerializeToString())


def _initializer(model: Any, name: str) -> Any:
    for weight in model.graph.initializer:
        if weight.name == name:
            return weight
    raise BundleError(f"an ONNX file has no weights {name}: it was not made by this version's export")
