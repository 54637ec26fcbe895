"""The Triton model repository of a bundle: every file of it, made from one description of the models.

::

    encoder/config.pbtxt      cpu profile: the python backend runs the bundle's own ONNX file
    encoder/1/model.py
    tagger/…                  gpu profile: onnxruntime with TensorRT; 1/model.onnx is the float form
    calibrator/…

Both profiles serve the same names, tensors and versions, so a client cannot tell them apart. The
configurations are built as messages of Triton's own schema: a field that Triton does not know cannot
be written.
"""

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from google.protobuf import text_format  # type: ignore[import-untyped]
from tritonclient.grpc import model_config_pb2 as schema  # type: ignore[import-untyped]

from streamproc.errors import BundleError
from streamproc.inference import triton_windows
from streamproc.inference.bundle import Bundle
from streamproc.inference.manifest import TaggerSpec
from streamproc.inference.triton_float_form import float_form

__all__ = [
    "CALIBRATOR",
    "ENCODER",
    "IDENTITY",
    "MAX_CANDIDATE_ROWS",
    "MAX_NOTES",
    "MAX_NOTE_CANDIDATES",
    "MAX_WINDOW_ROWS",
    "TAGGER",
    "Profile",
    "ServedModel",
    "repository_files",
    "served_models",
    "write_repository",
]

ENCODER = "encoder"
TAGGER = "tagger"
CALIBRATOR = "calibrator"

IDENTITY = "identity"
"""Parameter ``identity.<version>``: what a client compares with its own bundle before it trusts a version."""

MAX_WINDOW_ROWS = 16
"""Windows in one request to the encoder: enough to spread its cost, few enough to share a queue fairly."""

MAX_CANDIDATE_ROWS = 1024
"""Candidates in one request to the tagger or the calibrator: 32 notes of 32 candidates."""

MAX_NOTES = 8
"""Notes in one request to a tagger that reads the text."""

MAX_NOTE_CANDIDATES = 32
"""Candidates of a note in one request to such a tagger; what is missing is padding."""

_HEADER = (
    "# Made by `streamproc export triton`; a test holds this file to it. Change the generator instead.\n"
)
_CONFIG = "config.pbtxt"
_PYTHON_MODEL = Path(__file__).with_name("triton_python_model.py")

# Four full requests: on a GPU, where larger batches pay, the dynamic batcher puts those together.
_MAX_BATCH_WINDOWS = 4 * MAX_WINDOW_ROWS

_MAX_BATCH_NOTES = 4 * MAX_NOTES

# A queue longer than this holds more work than a caller waits for; refused requests are tried again.
_MAX_QUEUE_REQUESTS = 128

# Long enough for requests of one micro-batch to meet, short against the milliseconds of one run.
_GPU_QUEUE_DELAY_MICROSECONDS = 2_000

_IDENTITY_CHARACTERS = 16

_TENSORRT_WORKSPACE_BYTES = 1 << 30
_TENSORRT_CACHE = "/var/cache/tensorrt"


class Profile(StrEnum):
    """Where Triton runs the models."""

    CPU = "cpu"
    GPU = "gpu"


@dataclass(frozen=True, slots=True)
class ServedModel:
    """One model as its clients see it.

    Attributes:
        name: in Triton.
        file: its ONNX file in the bundle.
        identity: what tells its weights from others: the hash that names the encoder's vectors, or the
            model's version in the bundle and the hash of its file.
        inputs: name → type and dimensions beside the batch; -1 for the length of the sequence.
        output: name of its one output, float32.
        output_width: numbers a row of the output has.
        max_rows: rows of one batch.
        sequence_buckets: lengths its sequences are padded to; empty for rows of fixed width.
    """

    name: str
    file: str
    identity: str
    inputs: dict[str, tuple[str, tuple[int, ...]]]
    output: str
    output_width: int
    max_rows: int
    sequence_buckets: tuple[int, ...] = ()


def served_models(bundle: Bundle) -> tuple[ServedModel, ...]:
    """The models of a bundle, as Triton serves them; those the bundle lacks are left out."""
    return tuple(_served_models(bundle))


def _served_models(bundle: Bundle) -> Iterator[ServedModel]:
    manifest = bundle.manifest
    yield ServedModel(
        name=ENCODER,
        file=manifest.encoder.file,
        identity=manifest.encoder.float_sha256,
        inputs={"input_ids": ("TYPE_INT64", (-1,)), "attention_mask": ("TYPE_INT64", (-1,))},
        output="embedding",
        output_width=manifest.encoder.dimension,
        max_rows=_MAX_BATCH_WINDOWS,
        sequence_buckets=triton_windows.buckets(manifest.encoder.window_tokens),
    )
    if (tagger := manifest.tagger) is None:
        return
    yield _tagger(bundle, tagger)
    if (calibrator := manifest.calibrator) is None:
        return
    yield ServedModel(
        name=CALIBRATOR,
        file=calibrator.file,
        identity=_identity(bundle, calibrator.version, calibrator.file),
        inputs={"features": ("TYPE_FP32", (len(tagger.features) + 1,))},
        output="logits",
        output_width=2,
        max_rows=MAX_CANDIDATE_ROWS,
    )


def _identity(bundle: Bundle, version: str, file: str) -> str:
    """A version's name and the beginning of its file's hash: two trainings may have been given one name."""
    return f"{version}-{bundle.manifest.files[file][:_IDENTITY_CHARACTERS]}"


def _tagger(bundle: Bundle, spec: TaggerSpec) -> ServedModel:
    features = len(spec.features)
    if spec.text is None:
        return ServedModel(
            name=TAGGER,
            file=spec.file,
            identity=_identity(bundle, spec.version, spec.file),
            inputs={"evidence": ("TYPE_FP32", (features,))},
            output="logit",
            output_width=1,
            max_rows=MAX_CANDIDATE_ROWS,
        )
    return ServedModel(
        name=TAGGER,
        file=spec.file,
        identity=_identity(bundle, spec.version, spec.file),
        inputs={
            "note_ids": ("TYPE_INT64", (-1,)),
            "candidate_ids": ("TYPE_INT64", (MAX_NOTE_CANDIDATES, spec.text.candidate_tokens)),
            "evidence": ("TYPE_FP32", (MAX_NOTE_CANDIDATES, features)),
        },
        output="logit",
        output_width=MAX_NOTE_CANDIDATES,
        max_rows=_MAX_BATCH_NOTES,
        sequence_buckets=triton_windows.buckets(spec.text.note_tokens),
    )


def write_repository(
    bundle: Bundle,
    directory: Path,
    profile: Profile,
    version: int = 1,
    models: Collection[str] = (ENCODER, TAGGER, CALIBRATOR),
) -> list[Path]:
    """Write the model repository of a bundle and return the paths of its files; where it is refused nothing is written.

    Versions of other numbers that are in the directory stay and go on being served.

    Args:
        bundle: a verified bundle.
        directory: of the repository; files of the same version are replaced.
        profile: where Triton will run it.
        version: number of the models' version.
        models: names of those that are written.

    Raises:
        BundleError: the bundle's directory cannot be named relative to the repository, a model has no
            float form, or other tensors than the versions already in the directory, or a configuration there is none.
        UserError: the gpu profile needs a package that is not installed.
    """
    contents = {}
    for name, content in repository_files(bundle, directory, profile, version).items():
        if Path(name).parts[0] not in models:
            continue
        path = directory / name
        if path.name == _CONFIG and path.exists():
            content = _with_other_versions(content, path, version)  # noqa: PLW2901 - the same file
        contents[path] = content
    for path, content in contents.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return list(contents)


def _with_other_versions(content: bytes, path: Path, version: int) -> bytes:
    """The configuration with what the one at the path says of other versions that are still beside it."""
    config = text_format.Parse(content.decode(), schema.ModelConfig())
    try:
        present = text_format.Parse(path.read_bytes(), schema.ModelConfig())
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise BundleError(
            f"{path} is not a configuration of Triton's ({error}): remove it, or write to another directory"
        ) from None
    others = {
        name: parameter
        for name, parameter in present.parameters.items()
        if (other := name.rpartition(".")[2]) != str(version) and (path.parent / other).is_dir()
    }
    if others and [*present.input, *present.output] != [*config.input, *config.output]:
        raise BundleError(
            f"{path} describes other tensors than this bundle's {config.name} has: versions of one model share "
            "them, so write this bundle to another directory"
        )
    for name, parameter in others.items():
        config.parameters[name].CopyFrom(parameter)
    return _text(config)


def repository_files(bundle: Bundle, directory: Path, profile: Profile, version: int = 1) -> dict[str, bytes]:
    """The contents of a bundle's model repository, made from nothing: relative path → bytes.

    Args:
        bundle: a verified bundle.
        directory: where the repository will be; the cpu profile names the bundle relative to it.
        profile: where Triton will run it.
        version: number of the models' version.

    Raises:
        BundleError, UserError: as :func:`write_repository`.
    """
    files: dict[str, bytes] = {}
    for model in served_models(bundle):
        config = _config(model, version)
        match profile:
            case Profile.CPU:
                _serve_by_python(config, model, bundle, directory, version)
                files[f"{model.name}/{version}/model.py"] = _PYTHON_MODEL.read_bytes()
            case Profile.GPU:
                _serve_by_onnxruntime(config, model)
                files[f"{model.name}/{version}/model.onnx"] = float_form(bundle.file(model.file))
        files[f"{model.name}/{_CONFIG}"] = _text(config)
    return files


def _text(config: Any) -> bytes:
    text: str = text_format.MessageToString(config, use_short_repeated_primitives=True)
    return (_HEADER + text).encode()


def _config(model: ServedModel, version: int) -> Any:
    """What both profiles share: names, tensors, versions, the queue."""
    config = schema.ModelConfig(
        name=model.name,
        max_batch_size=model.max_rows,
        input=[
            schema.ModelInput(name=name, data_type=data_type, dims=dimensions)
            for name, (data_type, dimensions) in model.inputs.items()
        ],
        output=[schema.ModelOutput(name=model.output, data_type="TYPE_FP32", dims=[model.output_width])],
        # While one version takes over from another both are served; clients pin the one they mean.
        version_policy=schema.ModelVersionPolicy(all=schema.ModelVersionPolicy.All()),
        dynamic_batching=schema.ModelDynamicBatching(
            default_queue_policy=schema.ModelQueuePolicy(
                timeout_action=schema.ModelQueuePolicy.REJECT,
                # A request carries its caller's deadline; nobody reads an answer that comes after it.
                allow_timeout_override=True,
                max_queue_size=_MAX_QUEUE_REQUESTS,
            )
        ),
    )
    config.parameters[f"{IDENTITY}.{version}"].string_value = model.identity
    return config


def _serve_by_python(config: Any, model: ServedModel, bundle: Bundle, directory: Path, version: int) -> None:
    config.backend = "python"
    # One process with a thread a core: more processes would only hold the weights more often.
    config.instance_group.add(count=1, kind=schema.ModelInstanceGroup.KIND_CPU)
    # Rows run one by one, so requests of different lengths may share a batch.
    for tensor in config.input:
        tensor.allow_ragged_batch = bool(model.sequence_buckets)
    try:
        bundle_path = os.path.relpath(bundle.path.resolve(), directory.resolve())
    except ValueError as error:  # two drives of Windows
        raise BundleError(
            f"{bundle.path} cannot be reached from {directory}: put both on one drive"
        ) from error
    config.parameters[f"bundle.{version}"].string_value = Path(bundle_path).as_posix()
    config.parameters[f"file.{version}"].string_value = model.file
    config.parameters[f"sha256.{version}"].string_value = bundle.manifest.files[model.file]


def _serve_by_onnxruntime(config: Any, model: ServedModel) -> None:
    config.backend = "onnxruntime"
    config.instance_group.add(count=1, kind=schema.ModelInstanceGroup.KIND_GPU)
    config.dynamic_batching.max_queue_delay_microseconds = _GPU_QUEUE_DELAY_MICROSECONDS
    if model.output_width == 1:
        # The graph gives float32[rows]; Triton has no tensor without dimensions beside the batch.
        config.output[0].reshape.SetInParent()
    if not model.sequence_buckets:
        return  # a few thousand weights: full precision costs nothing
    accelerator = config.optimization.execution_accelerators.gpu_execution_accelerator.add(name="tensorrt")
    shortest, longest = model.sequence_buckets[0], model.sequence_buckets[-1]
    typical = model.sequence_buckets[len(model.sequence_buckets) // 2]
    for key, value in {
        "precision_mode": "FP16",
        "max_workspace_size_bytes": str(_TENSORRT_WORKSPACE_BYTES),
        "trt_engine_cache_enable": "true",
        "trt_engine_cache_path": f"{_TENSORRT_CACHE}/{model.name}",
        # A shape outside these would build a new engine during a request, which takes a minute.
        "trt_profile_min_shapes": _shapes(model, 1, shortest),
        "trt_profile_opt_shapes": _shapes(model, model.max_rows // 4, typical),
        "trt_profile_max_shapes": _shapes(model, model.max_rows, longest),
    }.items():
        accelerator.parameters[key] = value
    for length in model.sequence_buckets:
        for rows in (1, model.max_rows):
            warmup = config.model_warmup.add(name=f"{rows} x {length}", batch_size=rows)
            for name, (data_type, dimensions) in model.inputs.items():
                tensor = warmup.inputs[name]
                tensor.data_type = schema.DataType.Value(data_type)
                tensor.dims.extend(_lengths(dimensions, length))
                # Random ids would lie outside the vocabulary.
                tensor.zero_data = True


def _shapes(model: ServedModel, rows: int, tokens: int) -> str:
    return ",".join(
        f"{name}:{'x'.join(map(str, (rows, *_lengths(dimensions, tokens))))}"
        for name, (_, dimensions) in model.inputs.items()
    )


def _lengths(dimensions: tuple[int, ...], tokens: int) -> list[int]:
    """The dimensions with the sequence of this length."""
    return [tokens if size < 0 else size for size in dimensions]
