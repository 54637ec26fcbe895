import sys
from dataclasses import replace

import pytest

from streamproc.errors import UserError
from streamproc.evaluation.baselines import MATCHING, VOTES, Trees, by_column, learnable, omikuji
from streamproc.evaluation.dataset import Dataset, LabelledNote
from streamproc.events.note import Note
from streamproc.graph.recall import recall
from tests.graph.recalling import NOTE, Judges, View, hits, tag

TAGS = (tag("baking"), tag("cycling"), tag("money"))

TEXTS = {
    "baking": ("flour and butter make dough", "the dough rests before the oven", "oven warm flour ready"),
    "cycling": ("a wheel and a chain", "the chain slipped off the wheel", "pedals and a new wheel"),
    "money": ("savings in the bank", "the bank pays interest", "interest on savings grows"),
}


def labelled(note_id, text, *gold):
    return LabelledNote(Note(note_id=note_id, text=text), frozenset(gold), "")


def dataset(*more):
    train = [
        labelled(f"{name}-{number}", text, name)
        for name, texts in TEXTS.items()
        for number, text in enumerate(texts)
    ]
    return Dataset("three", TAGS, (*train, *more), (), ())


ASKED = (
    labelled("a", "dough and flour in the oven", "baking"),
    labelled("b", "bank interest on savings", "money"),
)


@pytest.fixture
def trees():
    pytest.importorskip("omikuji", reason="the trees need the 'baselines' extra")
    pytest.importorskip("sklearn", reason="the trees need the 'baselines' extra")


def test_matching_takes_the_nearest_tags_and_no_others():
    near = hits([("cycling", 0.2), ("money", 0.6)], [("m", 0.9, ["baking"])])
    found = recall(NOTE, near, View(list(TAGS)), Judges(), MATCHING)
    assert by_column([found], "cosine") == [["money", "cycling"]]


def test_matching_keeps_tags_that_are_not_alike_at_all():
    found = recall(NOTE, hits([("cycling", -0.3)]), View(list(TAGS)), Judges(), MATCHING)
    assert by_column([found], "cosine") == [["cycling"]]


def test_votes_come_from_near_notes_alone_and_the_nearer_note_wins():
    near = hits([("money", 0.9)], [("m", 0.4, ["baking"]), ("o", 0.7, ["cycling"])])
    found = recall(NOTE, near, View(list(TAGS)), Judges(), VOTES)
    assert by_column([found], "vote_sharp") == [["cycling", "baking"]]


def test_a_note_without_candidates_is_ranked_empty():
    found = recall(NOTE, hits(), View(list(TAGS)), Judges(), VOTES)
    assert by_column([found], "vote_sharp") == [[]]


@pytest.mark.parametrize("kind", list(Trees))
def test_trees_put_the_tag_first_whose_words_the_note_has(trees, kind):
    ranked = omikuji(dataset(), ASKED, kind)
    assert [tags[0] for tags in ranked] == ["baking", "money"]
    assert all(len(tags) == len(set(tags)) for tags in ranked)


def test_trees_give_no_more_tags_than_asked_for(trees):
    assert [len(tags) for tags in omikuji(dataset(), ASKED, Trees.PARABEL, best=1)] == [1, 1]


def test_trees_bear_history_notes_without_a_known_word_or_without_a_tag(trees):
    odd = (
        labelled("rare", "xylophone", "money"),
        labelled("empty", "", "money"),
        labelled("bare", "the dough"),
    )
    assert omikuji(dataset(*odd), ASKED, Trees.PARABEL)[0][0] == "baking"


def test_trees_learn_only_where_a_word_stands_in_two_labelled_notes(trees):
    bare = replace(dataset(), train=(labelled("a", "dough rests", "baking"), labelled("b", "A dough!")))
    assert not learnable(bare)
    with pytest.raises(UserError, match="too few words to learn from in 1 notes"):
        omikuji(bare, ASKED, Trees.PARABEL)
    twice = replace(bare, train=(*bare.train, labelled("c", "A dough!", "baking")))
    assert learnable(twice)
    assert omikuji(twice, ASKED, Trees.PARABEL)[0] == ["baking"]


def test_the_library_writes_nothing_on_standard_error(trees, capfd):
    omikuji(dataset(), ASKED, Trees.BONSAI)
    assert capfd.readouterr().err == ""


def test_without_the_extra_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "omikuji", None)
    with pytest.raises(UserError, match=r"pip install '\.\[baselines\]'"):
        omikuji(dataset(), ASKED, Trees.PARABEL)
