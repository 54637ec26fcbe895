import pytest

from streamproc.errors import UserError
from streamproc.evaluation.ablations import ablations, only
from streamproc.graph.discriminant import LIKENESS
from streamproc.graph.evidence import COLUMN
from streamproc.graph.wording import WORDING


@pytest.fixture
def rows(experiment, scored, bag_cache):
    return {row.name: row for row in ablations(experiment, experiment.hits(), scored, bag_cache)}


def test_every_part_is_taken_away_once(rows):
    assert list(rows) == [
        "everything",
        "no graph (no neighbours)",
        "no discriminant (the nearest notes alone)",
        "no words of labelled notes",
        "no evidence",
        "no definitions",
        "no calibrator",
        "C2T alone",
        "C2C2T alone",
        "lexical alone",
    ]
    whole = rows["everything"]
    assert (whole.precision_1, whole.loss.mean) == (1, 0)


def test_without_neighbours_only_the_tags_own_words_speak(rows):
    # No votes: 4 × cosine − 4 is never above 0, so nothing reaches confidence .5.
    assert rows["no graph (no neighbours)"].tags_a_note == 0
    assert rows["no graph (no neighbours)"].right == 1


def test_without_evidence_the_models_know_nothing(rows):
    assert rows["no evidence"].tags_a_note == 0
    assert rows["no evidence"].candidates == rows["everything"].candidates


def test_without_definitions_the_neighbours_still_lead_to_the_tag(rows):
    assert rows["no definitions"].precision_1 == 1


def test_without_the_calibrator_the_tagger_s_own_logits_are_the_confidences(rows, scored):
    assert rows["no calibrator"].precision_1 == rows["everything"].precision_1
    # The calibrator is twice as sure of tags that are all right.
    assert rows["no calibrator"].brier > rows["everything"].brier


def test_each_path_alone_brings_neither_candidates_nor_evidence_of_the_others(rows):
    assert rows["C2T alone"].tags_a_note == 0
    assert rows["C2C2T alone"].precision_1 == 1
    assert rows["C2C2T alone"].brier != rows["everything"].brier  # the cosine adds nothing to the votes
    assert rows["lexical alone"].right == 1
    assert rows["lexical alone"].tags_a_note == 0


def test_a_path_alone_hears_nothing_of_labelled_notes_but_for_the_path_that_leads_over_them(experiment):
    columns = [COLUMN[name] for name in (*LIKENESS, *WORDING)]

    def heard(**path):
        recalled = experiment.recalled(experiment.hits(), only(experiment.thresholds, **path))
        return any(found.evidence[:, columns].any() for found in recalled)

    assert heard(notes=True)
    assert not heard(tags=True)
    assert not heard(words=True)


def test_without_a_cache_the_error_says_what_is_missing(experiment, scored):
    with pytest.raises(UserError, match="embed the tags anew"):
        ablations(experiment, [], scored, None)
