import tomllib
from dataclasses import replace

import numpy as np
import pytest

from streamproc.calibration.routes import fit_routes, settings_fragment
from streamproc.calibration.sample import confidence_of
from streamproc.config import KindRule
from streamproc.inference.calibration import Identity
from streamproc.pipeline.policy import Policy
from tests.calibration.worlds import sample_of

SAMPLE = sample_of(Identity(), 4000, kinds=("topic", "odd kind"))


def test_each_kind_gets_three_routes():
    routes = fit_routes(SAMPLE, confidence_of(SAMPLE, Identity()), 0.8, 0.5)
    kinds = tomllib.loads(settings_fragment(routes))["kinds"]
    assert kinds.keys() == {"topic", "odd kind"}
    for rule in kinds.values():
        assert 0.1 < rule["review_confidence"] < rule["min_confidence"] < 0.9


def test_the_yield_is_what_the_thresholds_give():
    confidence = confidence_of(SAMPLE, Identity())
    routes = fit_routes(SAMPLE, confidence, 0.8, 0.5)
    accept = {each.kind: each.accept.threshold for each in routes.kinds}
    accepted = confidence >= np.array([accept[kind] for kind in SAMPLE.kind])
    assert routes.yields.tags_a_note == pytest.approx(accepted.sum() / SAMPLE.notes)
    assert routes.yields.notes_with_a_tag == pytest.approx(len(set(SAMPLE.note[accepted])) / SAMPLE.notes)
    assert SAMPLE.right[accepted].mean() >= 0.8
    assert routes.yields.reviews_a_note > 0


def test_what_is_shown_to_people_keeps_its_own_promise():
    confidence = confidence_of(SAMPLE, Identity())
    for each in fit_routes(SAMPLE, confidence, 0.8, 0.5).kinds:
        shown = (
            (SAMPLE.kind == each.kind)
            & (confidence >= each.review_threshold)
            & (confidence < each.accept.threshold)
        )
        assert each.review.emitted == shown.sum()
        assert each.review.right == SAMPLE.right[shown].mean() > each.review.bound >= 0.5


def test_right_tags_that_are_accepted_do_not_make_up_for_wrong_ones_that_people_would_see():
    sample = sample_of(Identity(), 500)
    sure = np.arange(len(sample.right)) % 20 < 10
    split = replace(sample, right=np.where(sure, sample.note % 12 > 0, np.arange(len(sure)) % 4 == 0))
    confidence = np.where(sure, 0.9, 0.4)
    routes = fit_routes(split, confidence, 0.8, 0.5)
    assert [(each.accept.threshold, each.review_threshold) for each in routes.kinds] == [(0.41, None)]
    kinds = tomllib.loads(settings_fragment(routes))["kinds"]
    shown = Policy(kinds={"topic": KindRule(**kinds["topic"])}, review_confidence=0.1)
    assert shown.review_threshold("topic") == shown.threshold("topic") == 0.41


def test_a_kind_without_a_threshold_is_left_out():
    rare = sample_of(Identity(), 300)
    kinds = rare.kind.copy()
    kinds = np.where(np.arange(len(kinds)) < 20, "rare", kinds)
    sample = type(rare)(rare.evidence, rare.probability, rare.right, rare.note, rare.tag, kinds, rare.gold)
    routes = fit_routes(sample, confidence_of(sample, Identity()), 0.8, 0.5)
    assert {each.kind: each.accept.too_few for each in routes.kinds}["rare"]
    assert "rare" not in settings_fragment(routes)
