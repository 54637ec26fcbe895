import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.errors import NotFiniteError
from streamproc.inference.calibration import (
    Adapted,
    Bends,
    Beta,
    BoundMap,
    CalibrationMap,
    Evidence,
    Gate,
    Gated,
    Identity,
    Temperature,
    Term,
    apply_map,
    map_digest,
    ungated,
)
from streamproc.inference.confidence import confidences
from streamproc.inference.protocols import CandidateTag, TaggingRequest

SLOPES = st.floats(0.05, 8)
COLUMNS = ("cosine", "votes")


@st.composite
def rising(draw, start):
    """Rising numbers, no two nearer than a twentieth."""
    steps = draw(st.lists(st.floats(0.05, 2), min_size=1, max_size=5))
    return tuple(np.cumsum([draw(start), *steps]).tolist())


@st.composite
def bends(draw):
    at = draw(rising(st.floats(-6, 0)))
    slopes = draw(st.lists(st.floats(0.1, 3), min_size=len(at) - 1, max_size=len(at) - 1))
    to = np.cumsum([draw(st.floats(-6, 2)), *(np.diff(at) * slopes)])
    return Bends(at, tuple(to.tolist()))


@st.composite
def terms(draw):
    at = draw(rising(st.floats(-1, 1)))
    adds = draw(st.lists(st.floats(-2, 2), min_size=len(at), max_size=len(at)))
    return Term(draw(st.sampled_from(COLUMNS)), at, tuple(adds))


UNGATED = st.one_of(
    st.just(Identity()),
    st.builds(Temperature, SLOPES),
    st.builds(Beta, SLOPES, SLOPES, st.floats(-6, 6)),
    st.builds(
        Adapted,
        SLOPES,
        SLOPES,
        st.floats(-3, 3),
        st.lists(terms(), max_size=3).map(tuple),
        st.none() | bends(),
    ),
)

GATES = st.builds(
    Gate,
    st.floats(-3, 3),
    st.lists(terms(), max_size=3).map(tuple),
    st.dictionaries(st.sampled_from(("0", "7")), st.floats(-2, 2)),
    st.floats(-2, -0.4),
    st.floats(0, 2),
)
MAPS = UNGATED | st.builds(Gated, UNGATED, GATES)


def evidence_of(rows, values=(0.3, 0.7)):
    return Evidence(COLUMNS, np.tile(np.array(values, dtype=np.float32), (rows, 1)), ["7"] * rows)


def request_of(rows, values=(0.3, 0.7)):
    tags = tuple(CandidateTag(str(row), str(row), "") for row in range(rows))
    return TaggingRequest("a note", tags, evidence_of(rows, values).rows)


@given(MAPS)
def test_a_map_is_continuous_and_strictly_increasing(calibration):
    p = np.linspace(0.01, 0.99, 2001)
    calibrated = apply_map(calibration, p, evidence_of(len(p)))
    # Where a result, a gate's input too, is so near to 0 or 1 that float64 has no room, equality is all that can hold.
    before = apply_map(ungated(calibration), p, evidence_of(len(p)))
    inside = (before > 1e-10) & (before < 1 - 1e-10)
    steps = np.diff(calibrated)
    assert (steps >= 0).all()
    assert (steps[inside[1:] & inside[:-1]] > 0).all()
    assert steps.max() < 0.1
    assert ((calibrated > 0) & (calibrated < 1)).all()


@given(MAPS, st.sampled_from([0.0, 1.0]))
def test_certainty_stays_within_bounds(calibration, p):
    assert 0 < apply_map(calibration, [p], evidence_of(1))[0] < 1


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
        '{"type": "adapted", "a": -1, "b": 1, "c": 0}',
        '{"type": "adapted", "a": 1, "b": 1, "c": 0, "bends": {"at": [0, 1], "to": [1, 1]}}',
        '{"type": "adapted", "a": 1, "b": 1, "c": 0, "bends": {"at": [1, 0], "to": [0, 1]}}',
        '{"type": "adapted", "a": 1, "b": 1, "c": 0, "terms": [{"column": "x", "at": [0], "adds": [1]}]}',
        '{"type": "gated", "map": {"type": "identity"}}',
        '{"type": "gated", "map": {"type": "identity"}, "gate": {"shift": 0, "terms": [], "tags": {}, "closes": 1, "opens": 1}}',
    ],
)
def test_a_map_that_would_not_be_continuous_or_increase_strictly_cannot_be_read(content):
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(content, type=CalibrationMap)


@given(MAPS)
def test_a_map_survives_the_manifest(calibration):
    assert msgspec.json.decode(msgspec.json.encode(calibration), type=CalibrationMap) == calibration


def test_confidence_is_the_softmax_of_yes_and_no():
    yes_no = np.array([[2.0, 1.0], [0.0, 0.0], [-3.0, 1.5]], dtype=np.float32)
    expected = np.exp(yes_no[:, 0]) / np.exp(yes_no).sum(axis=1)
    assert confidences(yes_no, BoundMap(Identity(), COLUMNS), [request_of(3)]) == pytest.approx(expected)


def test_extreme_logits_give_confidences_strictly_between_0_and_1():
    yes_no = np.array([[1e4, -1e4], [-1e4, 1e4]], dtype=np.float32)
    extreme = confidences(yes_no, BoundMap(Identity(), COLUMNS), [request_of(2)])
    assert extreme.dtype == np.float32
    assert 0 < extreme[1] < extreme[0] < 1


@given(MAPS, st.floats(-1, 2), st.floats(-1, 2))
def test_a_map_is_continuous_in_the_evidence(calibration, cosine, votes):
    here = apply_map(calibration, [0.4], evidence_of(1, (cosine, votes)))
    near = apply_map(calibration, [0.4], evidence_of(1, (cosine + 1e-5, votes - 1e-5)))
    assert here == pytest.approx(near, abs=0.01)


def test_an_adapted_map_hears_the_evidence_between_its_points_and_no_further():
    term = Term("votes", (0.0, 1.0), (-1.0, 1.0))
    calibration = BoundMap(Adapted(1.0, 1.0, 0.0, (term,)), COLUMNS)
    even = np.zeros((1, 2), dtype=np.float32)
    at = {
        votes: confidences(even, calibration, [request_of(1, (0.0, votes))])[0]
        for votes in (-5.0, 0.0, 0.5, 1.0, 5.0)
    }
    assert at[0.5] == pytest.approx(0.5)
    assert at[1.0] == pytest.approx(1 / (1 + np.exp(-1)))
    assert (at[-5.0], at[5.0]) == (at[0.0], at[1.0])


def test_bends_go_on_beyond_their_ends():
    calibration = Adapted(1.0, 1.0, 0.0, bends=Bends((-1.0, 1.0), (-2.0, 2.0)))
    p = 1 / (1 + np.exp(-np.array([-3.0, 0.5, 3.0])))
    assert apply_map(calibration, p) == pytest.approx(1 / (1 + np.exp(-np.array([-6.0, 1.0, 6.0]))))


def test_evidence_that_is_not_gathered_is_refused():
    calibration = Adapted(1.0, 1.0, 0.0, (Term("moonlight", (0.0, 1.0), (0.0, 1.0)),))
    with pytest.raises(ValueError, match="moonlight"):
        BoundMap(calibration, COLUMNS)
    with pytest.raises(ValueError, match="evidence"):
        apply_map(calibration, [0.5])


GATE = Gate(0.0, (Term("votes", (0.0, 1.0), (0.0, 4.0)),), {"wide": 1.0}, 1.5, 2.0)


def behind(gate, p, votes, tags):
    rows = np.array([[0.0, each] for each in votes], dtype=np.float32)
    return apply_map(Gated(Identity(), gate), p, Evidence(COLUMNS, rows, tags))


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_logit_that_is_no_number_is_an_error_and_no_confidence(wrong):
    yes_no = np.array([[1.0, 0.0], [wrong, 0.0]], dtype=np.float32)
    with pytest.raises(NotFiniteError):
        confidences(yes_no, BoundMap(Identity(), COLUMNS), [request_of(2)])


def test_behind_a_closed_gate_no_confidence_reaches_a_half_and_behind_an_open_one_all_stay():
    p = [1.0, 0.9, 0.4]
    assert (behind(GATE, p, [0.1] * 3, ["a"] * 3) < [0.5, 0.46, 0.3]).all()
    assert behind(GATE, p, [0.6] * 3, ["a"] * 3) == pytest.approx(p)


def test_a_gate_asks_less_of_a_tag_whose_notes_are_far_apart():
    narrow, wide = behind(GATE, [0.9, 0.9], [0.3, 0.3], ["narrow", "wide"])
    assert narrow < 0.5 < wide == pytest.approx(0.9)


def test_a_candidate_behind_a_gate_hears_nothing_of_the_others():
    p, votes, tags = np.array([0.9, 0.8, 0.7]), [0.2, 0.4, 0.6], ["a", "wide", "b"]
    together = behind(GATE, p, votes, tags)
    assert together[::-1] == pytest.approx(behind(GATE, p[::-1], votes[::-1], tags[::-1]))
    assert [behind(GATE, p[[n]], [votes[n]], [tags[n]])[0] for n in range(3)] == pytest.approx(together)


def test_a_gate_is_told_the_tags_of_the_candidates():
    closed = Gate(-9.0, (), {"2": 18.0}, -1.0, 0.0)
    yes_no = np.tile(np.array([2.0, 0.0], dtype=np.float32), (3, 1))
    confidence = confidences(yes_no, BoundMap(Gated(Identity(), closed), COLUMNS), [request_of(3)])
    assert (confidence > 0.5).tolist() == [False, False, True]


def test_a_gate_that_is_not_told_the_tags_or_the_evidence_is_an_error():
    with pytest.raises(ValueError, match="tag of each candidate"):
        apply_map(Gated(Identity(), GATE), [0.5], Evidence(COLUMNS, np.zeros((1, 2), dtype=np.float32)))
    with pytest.raises(ValueError, match="evidence"):
        apply_map(Gated(Identity(), GATE), [0.5])
    unheard = Gate(0.0, (Term("moonlight", (0.0, 1.0), (0.0, 1.0)),), {}, 0.0, 1.0)
    with pytest.raises(ValueError, match="moonlight"):
        BoundMap(Gated(Identity(), unheard), COLUMNS)


def test_a_gate_comes_off():
    assert ungated(Gated(Temperature(2.0), GATE)) == ungated(Temperature(2.0)) == Temperature(2.0)


def test_two_maps_have_two_digests():
    assert map_digest(Temperature(2.0)) == map_digest(Temperature(2.0)) != map_digest(Temperature(2.1))
    assert map_digest(Gated(Identity(), GATE)) not in {
        map_digest(Identity()),
        map_digest(Gated(Temperature(2.0), GATE)),
    }
