from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.events.tag import TagChange
from streamproc.knowledge.lexical import LexicalIndex, Span, surface, tokenize


def tag(name: str, *, tag_id: str = "", synonyms: tuple[str, ...] = (), description: str = "") -> TagChange:
    return TagChange(
        tag_id=tag_id or name,
        name=name,
        changed_at=datetime.fromtimestamp(0, tz=UTC),
        synonyms=synonyms,
        description=description,
    )


def exact(index: LexicalIndex, title: str, text: str = "") -> set[str]:
    return set(index.match(title, text).exact)


def test_a_name_is_found_whatever_its_case_and_number():
    index = LexicalIndex.build([tag("Neural Network")])
    assert exact(index, "On neural networks.") == {"Neural Network"}


def test_a_name_is_found_only_at_word_boundaries():
    index = LexicalIndex.build([tag("art"), tag("C++"), tag("C#")])
    assert exact(index, "Party of start-ups; c is not it") == set()
    assert exact(index, "art in C++, not in C#") == {"art", "C++", "C#"}


def test_the_longest_name_wins():
    index = LexicalIndex.build([tag("New York"), tag("New York Times"), tag("Times")])
    assert exact(index, "He reads the New York Times") == {"New York Times"}
    assert exact(index, "New York at all times") == {"New York", "Times"}


def test_synonyms_lead_to_their_tag():
    assert exact(LexicalIndex.build([tag("running", synonyms=("jogging",))]), "", "I went jogging") == {
        "running"
    }


@pytest.mark.parametrize("text", ["Donald Trump spoke", "Donald J. Trump spoke"])
def test_names_of_subject_headings_are_found_as_people_write_them(text):
    assert exact(LexicalIndex.build([tag("Trump, Donald J")]), text) == {"Trump, Donald J"}


def test_a_qualifier_in_parentheses_need_not_stand_in_the_text():
    assert exact(LexicalIndex.build([tag("Care Act (2010)")]), "the care act") == {"Care Act (2010)"}


def test_the_title_is_preferred_and_mentions_in_the_text_are_counted():
    match = LexicalIndex.build([tag("tea")]).match("Tea", "tea and more tea")
    assert match.exact == {"tea": Span(in_title=True, start=0, end=1)}
    assert match.in_text == {"tea": 2}


def test_the_surface_is_what_stands_in_the_note():
    title, text = "", "We went to Neural  Networks, the shop."
    match = LexicalIndex.build([tag("neural network")]).match(title, text)
    assert surface(title, text, match.exact["neural network"]) == "Neural  Networks"


def test_letters_that_grow_when_they_are_folded_do_not_move_the_surface():
    title, text = "", "İİİİİİ in Python rocks"
    match = LexicalIndex.build([tag("python")]).match(title, text)
    assert surface(title, text, match.exact["python"]) == "Python"


def test_words_of_a_definition_rank_the_tag_by_bm25():
    index = LexicalIndex.build(
        [tag("hiking", description="walking in mountains"), tag("baking", description="bread and cakes")]
    )
    assert [tag_id for tag_id, _ in index.match("", "fresh bread").best] == ["baking"]


def test_equal_scores_stand_in_order_of_id():
    index = LexicalIndex.build([tag("red b"), tag("red a"), tag("red c")])
    assert [tag_id for tag_id, _ in index.match("red", "", best=2).best] == ["red a", "red b"]


def test_an_older_index_answers_as_before():
    first = LexicalIndex.build([tag("tea")])
    second = first.put(tag("coffee"))
    third = second.remove("tea")
    fourth = third.put(tag("cocoa", tag_id="coffee"))
    text = "tea, coffee, cocoa"
    assert exact(first, text) == {"tea"}
    assert exact(second, text) == {"tea", "coffee"}
    assert exact(third, text) == {"coffee"}
    assert [span.start for span in fourth.match(text, "").exact.values()] == [2]
    assert (len(first), len(second), len(third), len(fourth)) == (1, 2, 1, 1)
    assert {tag_id for tag_id, _ in second.match(text, "").best} == {"tea", "coffee"}


def test_an_older_index_can_be_changed_too():
    first = LexicalIndex.build([tag("tea")])
    first.put(tag("coffee"))
    assert exact(first.put(tag("cocoa")), "tea coffee cocoa") == {"tea", "cocoa"}


NAMES = st.lists(
    st.sampled_from(["red tea", "green tea", "tea", "red wine", "wine glass", "glass"]),
    min_size=1,
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(NAMES, st.sets(st.integers(0, 11)))
def test_changes_one_by_one_give_the_same_answers_as_building_at_once(names, removed):
    index = LexicalIndex.build()
    state: dict[str, TagChange] = {}
    for number, name in enumerate(names):
        change = tag(name, tag_id=str(number % 4), description=names[0])
        state[change.tag_id] = change
        index = index.put(change)
        if number in removed:
            index = index.remove(change.tag_id)
            del state[change.tag_id]
    built = LexicalIndex.build(state.values())
    one, other = (each.match("red wine in a tea glass", "green tea") for each in (index, built))
    assert (one.exact, one.in_text, one.best) == (other.exact, other.in_text, other.best)
    np.testing.assert_allclose(one.columns(list(state)), other.columns(list(state)), rtol=1e-6)


def test_unknown_tags_and_empty_texts_have_nothing_in_common():
    index = LexicalIndex.build([tag("tea")])
    assert not index.match("tea", "").columns(["coffee"]).any()
    assert index.match("", "").columns(["tea"]).tolist() == [[0, 0, 0]]
    assert LexicalIndex.build().match("tea", "").best == ()


def test_words_keep_what_is_no_plural():
    assert tokenize("News of classes, bus parties and glass") == [
        "news",
        "of",
        "classe",
        "bus",
        "party",
        "and",
        "glass",
    ]
