"""A version's values are compared with those in process before anybody uses it."""

from dataclasses import replace

import numpy as np
import pytest

from streamproc.errors import BundleError
from streamproc.inference.agreement import Agreement, compare, require_agreement
from streamproc.inference.bundle import Bundle, default_bundle_path
from streamproc.inference.model_repository import Profile
from streamproc.inference.onnx import load_models
from streamproc.inference.protocols import Encoded
from streamproc.inference.rollout import in_form_of


async def test_what_differs_is_told_by_model_and_amount() -> None:
    bundle = Bundle.load(default_bundle_path())
    assert bundle.manifest.tagger is not None
    features = len(bundle.manifest.tagger.features)
    models = load_models(bundle, threads=1)

    class Shifted:
        dimension, weights_hash = models.encoder.dimension, models.encoder.weights_hash

        async def encode(self, texts):
            encoded = await models.encoder.encode(texts)
            return Encoded(encoded.vectors + np.float32(0.01), encoded.truncated)

    class Empty:
        version = models.tagger.version

        async def score(self, requests):
            return [np.full_like(logits, np.nan) for logits in await models.tagger.score(requests)]

    try:
        same = await compare(models, models, features)
        shifted = await compare(models, replace(models, encoder=Shifted()), features)
        nothing = await compare(models, replace(models, tagger=Empty()), features)
    finally:
        await models.close()
    assert same.largest == 0
    assert (shifted.vector, shifted.logit, shifted.confidence) == (pytest.approx(0.01, rel=1e-3), 0, 0)
    require_agreement(shifted, 0.02)
    with pytest.raises(BundleError, match=r"the encoder on Triton gives other values .* differ by 0\.01"):
        require_agreement(shifted, 1e-3)
    with pytest.raises(BundleError, match=r"the tagger .* differ by nan"):
        require_agreement(nothing, 1e-3)
    with pytest.raises(BundleError, match=r"the calibrator .* differ by 0\.2"):
        require_agreement(Agreement(0, 0, 0.2), 1e-3)


async def test_the_gpu_profile_is_compared_with_the_float_form_of_the_bundle() -> None:
    bundle = Bundle.load(default_bundle_path())
    assert bundle.manifest.tagger is not None
    models = load_models(bundle, threads=1)
    try:
        with in_form_of(Profile.GPU, bundle) as reference:
            assert Bundle.load(reference.path).manifest.encoder == bundle.manifest.encoder
            assert reference.file(bundle.manifest.encoder.file).stat().st_size > 3 * (
                bundle.file(bundle.manifest.encoder.file).stat().st_size
            )
            floats = load_models(reference, threads=1)
            found = await compare(models, floats, len(bundle.manifest.tagger.features))
            await floats.close()
    finally:
        await models.close()
    assert not reference.path.exists()
    # The float form is near the int8 form, and not the same.
    assert 1e-4 < found.vector < 0.1
