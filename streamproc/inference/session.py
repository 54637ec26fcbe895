"""Opening an ONNX file for one run at a time on one core, and checking that it is the graph it should be."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from streamproc.errors import BundleError, UserError
from streamproc.extras import how_to_install

__all__ = ["Shape", "open_session"]

Shape = tuple[int | None, ...]
"""Dimensions of a tensor; None where any length will do."""


def open_session(file: Path, *, inputs: Mapping[str, Shape], outputs: Mapping[str, Shape]) -> Any:
    """An ``onnxruntime.InferenceSession`` on the CPU whose runs use one thread, the caller's.

    Args:
        file: the ONNX file.
        inputs: the names and shapes of all inputs.
        outputs: the names and shapes of the outputs that will be read.

    Raises:
        BundleError: onnxruntime cannot load the file, or its inputs or outputs are others.
        UserError: onnxruntime is not installed.
    """
    onnxruntime = _onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises many unrelated classes
        raise BundleError(f"onnxruntime cannot load {file} ({error}): export the bundle again") from error
    _check(file, "inputs", inputs, session.get_inputs(), complete=True)
    _check(file, "outputs", outputs, session.get_outputs(), complete=False)
    return session


def _check(
    file: Path, side: str, wanted: Mapping[str, Shape], present: Sequence[Any], *, complete: bool
) -> None:
    shapes = {value.name: tuple(value.shape) for value in present}
    fits = all(name in shapes and _matches(shape, shapes[name]) for name, shape in wanted.items())
    if not fits or (complete and len(shapes) > len(wanted)):
        raise BundleError(
            f"{file} has {side} {shapes} where the manifest means {dict(wanted)}: "
            "graph and manifest do not belong together, export the bundle again"
        )


def _matches(wanted: Shape, present: tuple[object, ...]) -> bool:
    return len(wanted) == len(present) and all(
        length is None or length == other for length, other in zip(wanted, present, strict=True)
    )


def _onnxruntime() -> Any:
    try:
        import onnxruntime  # noqa: PLC0415 - one of two extras brings it; without either, say so
    except ImportError:
        onnxruntime = None
    # Removing one of the two packages leaves an empty folder of the module behind.
    if not hasattr(onnxruntime, "InferenceSession"):
        raise UserError(
            f"onnxruntime is not installed: {how_to_install('cpu')}, or '.[gpu]' instead, never both"
        )
    return onnxruntime
