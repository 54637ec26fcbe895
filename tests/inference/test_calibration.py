import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.inference.calibration import Beta, CalibrationMap, Identity, Temperature, apply_map
from streamproc.inference.confidence import confidences

SLOPES = st.floats(0.05, 8)
MAPS = st.one_of(
    st.just(Identity()),
    st.builds(Temperature, SLOPES),
    st.builds(Beta, SLOPES, SLOPES, st.floats(-6, 6)),
)


@given(MAPS)
def test_a_map_is_continuous_and_strictly_increasing(calibration):
    p = np.linspace(0.01, 0.99, 2001)
    calibrated = apply_map(calibration, p)
    # Where the result is so near to 0 or 1 that float64 has no room, equality is all that can hold.
    inside = (calibrated > 1e-10) & (calibrated < 1 - 1e-10)
    steps = np.diff(calibrated)
    assert (steps >= 0).all()
    assert (steps[inside[1:] & inside[:-1]] > 0).all()
    assert steps.max() < 0.1
    assert ((calibrated > 0) & (calibrated < 1)).all()


@given(MAPS, st.sampled_from([0.0, 1.0]))
def test_certainty_stays_within_bounds(calibration, p):
    assert 0 < apply_map(calibration, p) < 1


def test_known_values():
    assert apply_map(Identity(), 0.3) == pytest.approx(0.3)
    assert apply_map(Temperature(2.0), 0.9) == pytest.approx(0.75)  # logit ln 9, halved: ln 3
    assert apply_map(Beta(1.0, 1.0, 0.0), 0.2) == pytest.approx(0.2)
    assert apply_map(Beta(1.0, 1.0, np.log(3)), 0.5) == pytest.approx(0.75)


@pytest.mark.parametrize(
    "content",
    [
        '{"type": "temperature", "temperature": 0}',
        '{"type": "temperature", "temperature": -1}',
        '{"type": "beta", "a": 0, "b": 1, "c": 0}',
        '{"type": "beta", "a": 1, "b": -1, "c": 0}',
        '{"type": "isotonic", "x": []}',
    ],
)
def test_a_map_that_would_not_increase_strictly_cannot_be_read(content):
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(content, type=CalibrationMap)


@given(MAPS)
def test_a_map_survives_the_manifest(calibration):
    assert msgspec.json.decode(msgspec.json.encode(calibration), type=CalibrationMap) == calibration


def test_confidence_is_the_softmax_of_yes_and_no():
    yes_no = np.array([[2.0, 1.0], [0.0, 0.0], [-3.0, 1.5]], dtype=np.float32)
    expected = np.exp(yes_no[:, 0]) / np.exp(yes_no).sum(axis=1)
    assert confidences(yes_no, Identity()) == pytest.approx(expected)


def test_extreme_logits_give_confidences_strictly_between_0_and_1():
    extreme = confidences(np.array([[1e4, -1e4], [-1e4, 1e4]], dtype=np.float32), Identity())
    assert extreme.dtype == np.float32
    assert 0 < extreme[1] < extreme[0] < 1
