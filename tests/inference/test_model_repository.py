"""The Triton model repository that the generator makes of a bundle."""

import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnxruntime
import pytest
from google.protobuf import text_format
from tritonclient.grpc import InferenceServerClient, model_config_pb2
from tritonclient.utils import InferenceServerException

from streamproc.errors import BundleError
from streamproc.inference import model_repository
from streamproc.inference.bundle import Bundle, default_bundle_path
from streamproc.inference.calibration import Identity
from streamproc.inference.manifest import CalibratorSpec, TaggerSpec
from streamproc.inference.model_repository import (
    MAX_CANDIDATE_ROWS,
    MAX_WINDOW_ROWS,
    Profile,
    repository_files,
    served_models,
    write_repository,
)
from streamproc.inference.onnx import OnnxEncoder
from streamproc.inference.tokenization import WindowTokenizer
from streamproc.inference.triton_float_form import float_form
from streamproc.inference.triton_windows import buckets, pack
from tests.inference.sentences import SENTENCES
from tests.servers.triton import REPOSITORY, TritonServer


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Bundle.load(default_bundle_path())


@pytest.fixture
def complete(bundle: Bundle) -> Bundle:
    """A bundle whose manifest names all three models; the files of two are not looked at."""
    tagger = TaggerSpec("tagger.onnx", "7", ("similarity", "votes", "lexical"), ())
    calibrator = CalibratorSpec("calibrator.onnx", "8", Identity(), ())
    manifest = msgspec.structs.replace(
        bundle.manifest,
        tagger=tagger,
        calibrator=calibrator,
        files={**bundle.manifest.files, "tagger.onnx": "a" * 64, "calibrator.onnx": "b" * 64},
    )
    return Bundle(bundle.path, manifest)


@pytest.fixture
def no_float_form(monkeypatch: pytest.MonkeyPatch) -> None:
    """The configurations of the gpu profile are tested without the package that makes its models."""
    monkeypatch.setattr(model_repository, "float_form", lambda file: b"")


def configs(bundle: Bundle, profile: Profile) -> dict[str, Any]:
    files = repository_files(bundle, REPOSITORY, profile)
    return {
        name.split("/")[0]: text_format.Parse(content.decode(), model_config_pb2.ModelConfig())
        for name, content in files.items()
        if name.endswith("config.pbtxt")
    }


def test_the_committed_repository_is_what_the_generator_makes(bundle: Bundle) -> None:
    committed = {
        str(file.relative_to(REPOSITORY)): file.read_bytes()
        for file in REPOSITORY.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert committed == repository_files(bundle, REPOSITORY, Profile.CPU), "run `streamproc export triton`"


@pytest.mark.usefixtures("no_float_form")
def test_both_profiles_serve_the_same_names_tensors_and_versions(complete: Bundle) -> None:
    cpu, gpu = (configs(complete, profile) for profile in Profile)
    assert list(cpu) == list(gpu) == ["encoder", "tagger", "calibrator"]
    for name, config in cpu.items():
        for tensors in ("input", "output"):
            described = [
                [(each.name, each.data_type, list(each.dims)) for each in getattr(side, tensors)]
                for side in (config, gpu[name])
            ]
            assert described[0] == described[1]
        identity = config.parameters["identity.1"].string_value
        assert gpu[name].parameters["identity.1"].string_value == identity
        assert config.max_batch_size == gpu[name].max_batch_size


@pytest.mark.usefixtures("no_float_form")
def test_every_shape_that_is_served_lies_inside_the_tensorrt_profile(complete: Bundle) -> None:
    config = configs(complete, Profile.GPU)["encoder"]
    (accelerator,) = config.optimization.execution_accelerators.gpu_execution_accelerator
    bounds = {
        which: {
            name: tuple(int(size) for size in shape.split("x"))
            for name, shape in (
                each.split(":") for each in accelerator.parameters[f"trt_profile_{which}_shapes"].split(",")
            )
        }
        for which in ("min", "opt", "max")
    }
    served = {
        (rows, length)
        for rows in range(1, config.max_batch_size + 1)
        for length in buckets(complete.manifest.encoder.window_tokens)
    }
    for name in ("input_ids", "attention_mask"):
        for shape in served | {bounds["opt"][name]}:
            assert np.all(np.array(bounds["min"][name]) <= shape)
            assert np.all(np.array(bounds["max"][name]) >= shape)
    warmed = {(each.batch_size, each.inputs["input_ids"].dims[0]) for each in config.model_warmup}
    assert {length for _, length in warmed} == set(buckets(complete.manifest.encoder.window_tokens))
    assert warmed <= served


@pytest.mark.usefixtures("no_float_form")
@pytest.mark.parametrize("profile", Profile)
def test_every_request_fits_a_batch_and_a_full_queue_refuses(complete: Bundle, profile: Profile) -> None:
    rows = {"encoder": MAX_WINDOW_ROWS, "tagger": MAX_CANDIDATE_ROWS, "calibrator": MAX_CANDIDATE_ROWS}
    for name, config in configs(complete, profile).items():
        assert config.max_batch_size >= rows[name]
        policy = config.dynamic_batching.default_queue_policy
        assert policy.timeout_action == model_config_pb2.ModelQueuePolicy.REJECT
        assert 0 < policy.max_queue_size < 10_000
        assert not config.dynamic_batching.preferred_batch_size


def test_a_bundle_in_the_making_gives_the_models_it_has(bundle: Bundle) -> None:
    encoder_only = msgspec.structs.replace(bundle.manifest, tagger=None, calibrator=None)
    assert [model.name for model in served_models(Bundle(bundle.path, encoder_only))] == ["encoder"]


def test_another_directory_names_the_bundle_from_there(bundle: Bundle, tmp_path: Path) -> None:
    directory = tmp_path / "deep" / "models"
    write_repository(bundle, directory, Profile.CPU, version=3)
    config = text_format.Parse(
        (directory / "encoder/config.pbtxt").read_text(), model_config_pb2.ModelConfig()
    )
    named = directory / config.parameters["bundle.3"].string_value / config.parameters["file.3"].string_value
    assert named.samefile(bundle.file(bundle.manifest.encoder.file))
    assert (directory / "encoder/3/model.py").is_file()


def test_a_second_version_keeps_what_is_said_of_the_first(bundle: Bundle, tmp_path: Path) -> None:
    write_repository(bundle, tmp_path, Profile.CPU, version=1)
    write_repository(bundle, tmp_path, Profile.CPU, version=2)
    path = tmp_path / "encoder/config.pbtxt"
    parameters = text_format.Parse(path.read_text(), model_config_pb2.ModelConfig()).parameters
    for name in ("bundle", "file", "sha256", "identity"):
        assert parameters[f"{name}.1"] == parameters[f"{name}.2"]
    shutil.rmtree(tmp_path / "encoder/1")
    write_repository(bundle, tmp_path, Profile.CPU, version=2)
    parameters = text_format.Parse(path.read_text(), model_config_pb2.ModelConfig()).parameters
    assert {name.partition(".")[2] for name in parameters} == {"2"}


def test_a_second_version_with_other_tensors_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    write_repository(bundle, tmp_path, Profile.CPU, version=1)
    wider = msgspec.structs.replace(bundle.manifest.encoder, dimension=768)
    another = Bundle(bundle.path, msgspec.structs.replace(bundle.manifest, encoder=wider))
    with pytest.raises(BundleError, match="describes other tensors"):
        write_repository(another, tmp_path, Profile.CPU, version=2)


def test_a_repository_that_is_refused_at_its_last_model_stays_as_it_was(
    bundle: Bundle, tmp_path: Path
) -> None:
    write_repository(bundle, tmp_path, Profile.CPU, version=1)
    (tmp_path / "calibrator/config.pbtxt").write_text("mine")
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    with pytest.raises(BundleError, match=r"calibrator/config\.pbtxt is not a configuration of Triton's"):
        write_repository(bundle, tmp_path, Profile.CPU, version=2)
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


@pytest.mark.usefixtures("no_float_form", "triton_server")
def test_triton_takes_the_gpu_configurations_up_to_the_missing_backend(
    complete: Bundle, tmp_path: Path
) -> None:
    write_repository(complete, tmp_path, Profile.GPU)
    for config in tmp_path.glob("*/config.pbtxt"):
        # Without a GPU Triton refuses the instance before it looks for the backend.
        config.write_text(config.read_text().replace("KIND_GPU", "KIND_CPU"))
    with TritonServer(tmp_path, "--exit-on-error=false", "--strict-readiness=false") as server:
        client = InferenceServerClient(server.url)
        for model in served_models(complete):
            with pytest.raises(
                InferenceServerException, match="unable to find backend library for backend 'onnxruntime'"
            ):
                client.load_model(model.name)
        client.close()


async def test_the_float_form_has_plain_operators_and_the_vectors_of_the_int8_form(
    bundle: Bundle, encoder: OnnxEncoder
) -> None:
    onnx = pytest.importorskip(
        "onnx", reason="the float form is made with the package onnx, of the extra `train`"
    )
    content = float_form(bundle.file(bundle.manifest.encoder.file))
    graph = onnx.load_from_string(content).graph
    assert not any(node.domain for node in graph.node)
    assert not any(w.data_type in (onnx.TensorProto.INT8, onnx.TensorProto.UINT8) for w in graph.initializer)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    spec = bundle.manifest.encoder
    tokenizer = WindowTokenizer(
        bundle.file(spec.tokenizer), window_tokens=spec.window_tokens, max_windows=spec.max_windows
    )
    windows = [tokenizer.tokenize(text).windows[0] for text in SENTENCES]
    alone = [
        session.run(["embedding"], {"input_ids": ids, "attention_mask": np.ones_like(ids)})[0][0]
        for ids in windows
    ]
    int8 = (await encoder.encode(SENTENCES)).vectors
    assert np.sum(alone * int8, axis=1).min() > spec.cosine_to_float_min
    for batch in pack(windows, window_tokens=spec.window_tokens, max_rows=MAX_WINDOW_ROWS):
        padded = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
        together = session.run(["embedding"], padded)[0]
        np.testing.assert_allclose(together, [alone[position] for position in batch.positions], atol=1e-4)
