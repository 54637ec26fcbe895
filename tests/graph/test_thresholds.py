from dataclasses import replace

from streamproc.graph.evidence import COLUMN
from streamproc.graph.thresholds import FITTED, PAPER, Thresholds
from streamproc.inference.manifest import RecallFit


def test_the_papers_constants_are_a_preset():
    assert (PAPER.delta_content_tag, PAPER.delta_content_content) == (0.5, 0.8)
    assert (PAPER.max_content_tag, PAPER.max_neighbour_tag, PAPER.candidates) == (15, 5, 20)


def test_a_bundle_that_was_never_fitted_gets_the_default():
    assert Thresholds.of(None) == FITTED


def test_a_bundles_fit_is_taken_over():
    fit = RecallFit(0.1, 0.2, 11, 12, 13, 9.0, {"cosine": 2.0}, ("somewhere",))
    expected = replace(
        FITTED,
        delta_content_tag=0.1,
        delta_content_content=0.2,
        max_content_tag=11,
        max_neighbour_tag=12,
        max_lexical=13,
        sharpness=9.0,
        fusion={"cosine": 2.0},
    )
    assert Thresholds.of(fit) == expected


def test_the_default_weighs_columns_that_exist():
    assert set(FITTED.fusion) <= set(COLUMN)
