"""What the words of all labelled notes say of a tag."""

import numpy as np
import pytest

from streamproc.events.note import Note
from streamproc.graph.wording import NO_WORDS, WORDING, WordCounts, Words, pack_words, unpack_words, words_of

SOFT, SHARP = WORDING.index("wording_soft"), WORDING.index("wording_sharp")


def note(text, **fields):
    return Note(note_id="n", text=text, **fields)


def words(text):
    return words_of(note(text))


TEXTS = {
    "tea": [
        "a pot of oolong, steeped twice",
        "matcha whisked in a warm bowl",
        "oolong or matcha, never with milk",
    ],
    "tax": [
        "the deadline for the return is in may",
        "deduct the desk, keep the receipt",
        "a receipt for every return",
    ],
    "tiles": [
        "grout between the tiles cracked",
        "tiles cut with a wet saw, then grout",
        "a level floor before the grout",
    ],
}
LABELLED = [((tag_id,), words(text)) for tag_id, texts in TEXTS.items() for text in texts]


def counts(labelled=LABELLED):
    told = WordCounts()
    told.add([tags for tags, _ in labelled], [each for _, each in labelled])
    return told


def model(labelled=LABELLED):
    made = counts(labelled).model()
    assert made is not None
    return made


def many(notes=400, tags=12, seed=0):
    """Notes of random words, each tag with a taste of its own."""
    random = np.random.default_rng(seed)
    labelled = []
    for _ in range(notes):
        of_note = [int(each) for each in random.choice(tags, size=random.integers(1, 3), replace=False)]
        everybodys = random.integers(0, 300, 15)
        own = [1000 * (each + 1) + word for each in of_note for word in random.integers(0, 40, 5)]
        numbers, times = np.unique(np.array([*everybodys, *own], dtype=np.uint32), return_counts=True)
        labelled.append((tuple(f"t{each}" for each in of_note), Words(numbers, times.astype(np.uint8))))
    return labelled


NAMES = [(f"t{each}",) for each in range(12)]


def test_words_are_those_of_the_lexical_index_whatever_their_case_and_number():
    assert words("Tiles and a TILE").counts.tolist() == words("tile and a tile").counts.tolist()
    assert words("tiles").numbers.tolist() == words("Tile").numbers.tolist()
    assert sorted(words("tile tile grout").counts.tolist()) == [1, 2]


def test_title_category_and_captions_are_words_of_the_note_too():
    whole = words_of(note("grout", title="tiles", category="home"))
    assert whole.numbers.tolist() == words("grout tiles home").numbers.tolist()


def test_a_note_without_text_has_no_words():
    assert words("").numbers.size == 0
    assert words("… — !").numbers.size == 0


def test_words_beyond_the_first_thousand_are_not_looked_at():
    text = " ".join(f"w{each}" for each in range(5000))
    assert len(words(text).numbers) <= 1024


@pytest.mark.parametrize(
    "text", ["", "tile", "tile tile grout " * 200, " ".join(f"w{n}" for n in range(900))]
)
def test_packed_words_read_back_as_they_were(text):
    before = words(text)
    after = unpack_words(pack_words(before))
    assert after.numbers.tolist() == before.numbers.tolist()
    assert after.counts.tolist() == before.counts.tolist()
    assert after.numbers.dtype == np.uint32


def test_a_row_that_was_stored_without_words_has_none():
    assert unpack_words("") is NO_WORDS


def test_the_tag_whose_notes_use_the_same_words_is_likeliest():
    asked = model().wording(words("more grout for the tiles"))
    assert asked.best(1) == ["tiles"]
    table = asked.columns([("tea",), ("tax",), ("tiles",)])
    assert table.argmax(axis=0).tolist() == [2, 2, 2, 2]


def test_shares_of_all_tags_sum_to_one():
    table = model().wording(words("oolong and a receipt")).columns([("tea",), ("tax",), ("tiles",)])
    assert table[:, SOFT].sum() == pytest.approx(1, abs=1e-6)
    assert table[:, SHARP].sum() == pytest.approx(1, abs=1e-6)


def test_nobody_has_words_before_a_note_is_labelled():
    assert WordCounts().model() is None


def test_unknown_words_and_tags_that_nobody_has_used_say_nothing():
    told = model()
    assert not told.wording(words("zeppelin")).columns([("tea",)]).any()
    assert told.wording(words("zeppelin")).best(9) == []
    assert not told.wording(NO_WORDS).columns([("tea",)]).any()
    assert told.wording(words("grout")).columns([("never",)])[0, [0, SHARP]].tolist() == [0, 0]


def test_a_word_that_many_notes_have_tells_no_tags_apart():
    labelled = many()
    common = Words(np.array([7], dtype=np.uint32), np.array([1], dtype=np.uint8))
    everywhere = [
        (
            tags,
            Words(
                np.union1d(each.numbers, common.numbers),
                np.ones(len(np.union1d(each.numbers, common.numbers)), dtype=np.uint8),
            ),
        )
        for tags, each in labelled
    ]
    assert not model(everywhere).wording(common).columns(NAMES).any()


def test_notes_of_nothing_but_common_words_say_nothing():
    common = Words(np.array([7], dtype=np.uint32), np.array([1], dtype=np.uint8))
    asked = model([(("a",), common), (("b",), common)] * 200).wording(common)
    assert asked.best(9) == []
    assert not asked.columns([("a",), ("b",)]).any()


def test_a_label_counts_at_once_and_no_longer_when_it_is_taken_back():
    told = counts()
    before = told.model()
    told.add([("attics",)], [words("insulate the rafters")])
    assert told.model().wording(words("rafters")).best(1) == ["attics"]
    told.add([("attics",)], [words("insulate the rafters")], -1)
    after = told.model()
    assert after.wording(words("rafters")).best(9) == before.wording(words("rafters")).best(9)
    assert after.table.keys.tolist() == before.table.keys.tolist()


def test_a_model_that_was_made_does_not_change_with_later_labels():
    told = counts()
    before = told.model()
    asked = before.wording(words("grout")).columns([("tiles",), ("tea",)])
    told.add([("tea",)] * 3, [words("grout")] * 3)
    told.model()
    assert (before.wording(words("grout")).columns([("tiles",), ("tea",)]) == asked).all()


def test_the_same_labels_in_any_portions_make_the_same_model():
    labelled = many()
    told = WordCounts()
    for start in range(0, len(labelled), 37):
        some = labelled[start : start + 37]
        told.add([tags for tags, _ in some], [each for _, each in some])
        told.model()
    asked = labelled[3][1]
    one, other = told.model().wording(asked).columns(NAMES), model(labelled).wording(asked).columns(NAMES)
    assert one == pytest.approx(other, abs=1e-5)


def test_where_other_words_are_taken_away_than_were_counted_all_evidence_is_finite():
    told = counts([*[(("tea",), words("steep the oolong"))] * 4, (("tax",), words("a receipt"))])
    told.add([("tea",)] * 3, [words("grout between tiles")] * 3, -1)
    assert np.isfinite(told.model().wording(words("a receipt")).columns([("tea",), ("tax",)])).all()


def test_the_order_of_a_note_s_tags_changes_not_even_the_last_bit():
    labelled = many()
    turned = [(tags[::-1], own) for tags, own in labelled]
    for tags, own in labelled[:50]:
        one = model(labelled).wording(own).leaving_out(tags)
        other = model(turned).wording(own).leaving_out(tags[::-1])
        np.testing.assert_array_equal(one.columns(NAMES), other.columns(NAMES))
        assert one.own == other.own


def test_a_note_that_is_left_out_of_what_it_taught_is_seen_nearly_as_if_it_had_never_been():
    labelled = many()
    for place in range(5):
        tags, own = labelled[place]
        without = model(labelled[:place] + labelled[place + 1 :]).wording(own).columns(NAMES)
        left_out = model(labelled).wording(own).leaving_out(tags).columns(NAMES)
        assert left_out == pytest.approx(without, abs=0.02)
        assert np.abs(model(labelled).wording(own).columns(NAMES) - without).max() > 0.05


def test_a_note_that_was_not_labelled_has_nothing_to_leave_out():
    asked = model().wording(words("grout"))
    assert asked.leaving_out(()) is asked


def test_a_tag_whose_only_note_is_left_out_is_as_if_nobody_had_used_it():
    labelled = [*LABELLED, (("attics",), words("insulate the rafters"))]
    asked = model(labelled).wording(words("insulate the rafters")).leaving_out(["attics"])
    assert "attics" not in asked.best(9)
    assert asked.columns([("attics",)])[0, [0, SHARP]].tolist() == [0, 0]


def test_tags_that_are_gone_are_as_if_nobody_had_used_them():
    told = model().without(["tiles"])
    asked = told.wording(words("grout"))
    assert "tiles" not in asked.best(9)
    assert asked.columns([("tiles",)])[0, SHARP] == 0
    assert asked.columns([("tea",), ("tax",)])[:, SHARP].sum() == pytest.approx(1, abs=1e-6)
    assert model().wording(words("grout")).best(1) == ["tiles"]


def test_merged_tags_speak_with_the_words_of_both():
    labelled = many()
    renamed = [
        (tuple({"t1": "t0"}.get(each, each) for each in tags), own)
        for tags, own in labelled
        if set(tags) < {"t0", "t1"} or not {"t0", "t1"} & set(tags)
    ]
    kept = [(tags, own) for tags, own in labelled if set(tags) < {"t0", "t1"} or not {"t0", "t1"} & set(tags)]
    asked = labelled[5][1]
    merged = model(kept).wording(asked).columns([("t0", "t1")])
    assert merged[0, 0] == pytest.approx(model(renamed).wording(asked).columns([("t0",)])[0, 0], abs=1e-4)


def test_a_merged_note_is_left_out_of_both():
    labelled = many()
    place = next(at for at, (tags, _) in enumerate(labelled) if tags == ("t1",))
    tags, own = labelled[place]
    without = model(labelled[:place] + labelled[place + 1 :]).wording(own).columns([("t0", "t1")])
    left_out = model(labelled).wording(own).leaving_out(tags).columns([("t0", "t1")])
    assert left_out[0, 0] == pytest.approx(without[0, 0], abs=0.02)


def test_at_most_so_many_tags_are_named_likeliest_first():
    asked = model().wording(words("grout between the tiles, and a receipt"))
    assert asked.best(0) == []
    assert asked.best(2)[0] == "tiles"
    assert len(asked.best(9)) == 3
