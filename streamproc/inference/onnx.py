"""The in-process backend: onnxruntime on the CPU, one unpadded sequence a run.

One sequence a run keeps a vector independent of its batch-mates (dynamic int8 scales activations over
the whole input), and it was measured to be the fastest on a CPU: nothing is padded, and runs on
several threads need not wait for each other.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np

from streamproc.errors import BundleError
from streamproc.inference.bundle import Bundle
from streamproc.inference.calibration import BoundMap
from streamproc.inference.confidence import confidences
from streamproc.inference.cores import available_cores
from streamproc.inference.manifest import EncoderSpec, TaggerSpec
from streamproc.inference.marker_tokens import MarkerTokenizer
from streamproc.inference.onnx_marker import OnnxMarkerTagger
from streamproc.inference.pool import WorkPool
from streamproc.inference.protocols import Encoded, Float32, Models, Tagger, TaggingRequest
from streamproc.inference.rows import evidence_rows, judge_rows, per_request, pooled
from streamproc.inference.session import open_session
from streamproc.inference.tokenization import WindowTokenizer

__all__ = ["OnnxCalibrator", "OnnxEncoder", "OnnxTagger", "load_encoder", "load_models", "load_tagger"]


def load_models(bundle: Bundle, threads: int = 0) -> Models:
    """Encoder, tagger and calibrator of a bundle, sharing one set of threads.

    Args:
        bundle: a verified bundle with all three.
        threads: runs at once; 0 for as many as there are cores available.

    Raises:
        BundleError: the bundle has no tagger or calibrator, or a file is not what its manifest says.
        UserError: onnxruntime is not installed.
    """
    tagger, calibrator = bundle.manifest.tagger, bundle.manifest.calibrator
    if tagger is None or calibrator is None:
        raise BundleError(
            f"{bundle.path} has an encoder but no trained tagger and calibrator: use a complete bundle"
        )
    features = len(tagger.features)
    calibrator_session = open_session(
        bundle.file(calibrator.file), inputs={"features": (None, features + 1)}, outputs={"logits": (None, 2)}
    )
    encoder = load_encoder(bundle, threads)
    pool = encoder.pool

    async def release() -> None:
        await asyncio.to_thread(pool.close)

    return Models(
        encoder=encoder,
        tagger=_tagger(bundle, tagger, pool),
        calibrator=OnnxCalibrator(
            calibrator_session, calibrator.served_version, calibrator.bound_map(tagger.features), pool
        ),
        release=release,
    )


def load_tagger(bundle: Bundle, threads: int = 0) -> tuple[Tagger, WorkPool]:
    """The tagger of a bundle alone, and its threads; ``close()`` ends them.

    Args:
        bundle: a verified bundle.
        threads: runs at once; 0 for as many as there are cores available.

    Raises:
        BundleError: the bundle has no tagger, or its file is not what the manifest says.
        UserError: onnxruntime is not installed.
    """
    if bundle.manifest.tagger is None:
        raise BundleError(f"{bundle.path} has no trained tagger: train one first")
    pool = WorkPool(threads or available_cores())
    return _tagger(bundle, bundle.manifest.tagger, pool), pool


def _tagger(bundle: Bundle, spec: TaggerSpec, pool: WorkPool) -> Tagger:
    file, features = bundle.file(spec.file), len(spec.features)
    if spec.text is None:
        session = open_session(file, inputs={"evidence": (None, features)}, outputs={"logit": (None,)})
        return OnnxTagger(session, spec.version, features, pool)
    session = open_session(
        file,
        inputs={
            "note_ids": (None, None),
            "candidate_ids": (None, None, None),
            "evidence": (None, None, features),
        },
        outputs={"logit": (None, None)},
    )
    tokenizer = MarkerTokenizer(
        bundle.file(bundle.manifest.encoder.tokenizer),
        note_tokens=spec.text.note_tokens,
        candidate_tokens=spec.text.candidate_tokens,
    )
    return OnnxMarkerTagger(session, spec.version, features, tokenizer, pool)


def load_encoder(bundle: Bundle, threads: int = 0) -> "OnnxEncoder":
    """The encoder of a bundle alone, with its own threads; ``encoder.pool.close()`` ends them.

    Args:
        bundle: a verified bundle.
        threads: runs at once; 0 for as many as there are cores available.

    Raises:
        BundleError: a file is not what the manifest says.
        UserError: onnxruntime is not installed.
    """
    spec = bundle.manifest.encoder
    session = open_session(
        bundle.file(spec.file),
        inputs={"input_ids": (None, None), "attention_mask": (None, None)},
        outputs={"embedding": (None, spec.dimension)},
    )
    tokenizer = WindowTokenizer(
        bundle.file(spec.tokenizer), window_tokens=spec.window_tokens, max_windows=spec.max_windows
    )
    return OnnxEncoder(session, tokenizer, spec, WorkPool(threads or available_cores()))


class OnnxEncoder:
    """Sentence vectors; a long text's is the normalised mean of its windows' vectors.

    Args:
        session: ``input_ids, attention_mask -> embedding``.
        tokenizer: cuts texts into windows.
        spec: the manifest's description of the encoder.
        pool: runs the windows.
    """

    def __init__(self, session: Any, tokenizer: WindowTokenizer, spec: EncoderSpec, pool: WorkPool) -> None:
        self._session = session
        self._tokenizer = tokenizer
        self.dimension = spec.dimension
        self.weights_hash = spec.float_sha256
        self.pool = pool

    async def encode(self, texts: Sequence[str]) -> Encoded:
        """Vectors of the texts, in their order."""
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        truncated = np.zeros(len(texts), dtype=np.bool_)

        def work(position: int) -> None:
            tokenized = self._tokenizer.tokenize(texts[position])
            vectors[position] = self._vector(tokenized.windows)
            truncated[position] = tokenized.truncated

        await self.pool.run(work, costs=[len(text) for text in texts])
        return Encoded(vectors, truncated)

    def _vector(self, windows: Sequence[np.ndarray[Any, np.dtype[np.int64]]]) -> Float32:
        return pooled(
            [
                self._session.run(["embedding"], {"input_ids": ids, "attention_mask": np.ones_like(ids)})[0][
                    0
                ]
                for ids in windows
            ]
        )


class OnnxTagger:
    """Logits from the evidence of each candidate.

    Args:
        session: ``evidence float32[rows, features] -> logit float32[rows]``.
        version: of the model.
        features: how many columns of the evidence it reads: the first ones.
        pool: runs it off the event loop.
    """

    def __init__(self, session: Any, version: str, features: int, pool: WorkPool) -> None:
        self._session = session
        self._features = features
        self._pool = pool
        self.version = version

    async def score(self, requests: Sequence[TaggingRequest]) -> list[Float32]:
        """One array a request: logit float32[candidates]."""
        if not requests:
            return []
        rows = await _run(
            self._pool, self._session, "logit", {"evidence": evidence_rows(requests, self._features)}
        )
        return per_request(rows, requests)


class OnnxCalibrator:
    """Confidences from the evidence of each candidate and the tagger's logit.

    Args:
        session: ``features float32[rows, features + 1] -> logits float32[rows, 2]``.
        version: of the model.
        calibration: the map fitted on this very model.
        pool: runs it off the event loop.
    """

    def __init__(self, session: Any, version: str, calibration: BoundMap, pool: WorkPool) -> None:
        self._session = session
        self._calibration = calibration
        self._pool = pool
        self.version = version

    async def judge(self, requests: Sequence[TaggingRequest], logits: Sequence[Float32]) -> list[Float32]:
        """One array a request: confidence float32[candidates] within (0, 1)."""
        if not requests:
            return []
        features = {"features": judge_rows(requests, logits, len(self._calibration.columns))}
        yes_no = await _run(self._pool, self._session, "logits", features)
        return per_request(confidences(yes_no, self._calibration, requests), requests)


async def _run(pool: WorkPool, session: Any, output: str, inputs: dict[str, Float32]) -> Float32:
    results: list[Float32] = []
    await pool.run(lambda _: results.append(session.run([output], inputs)[0]), costs=[1])
    return results[0]
