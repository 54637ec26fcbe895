"""What all labelled notes together say of a tag."""

import numpy as np
import pytest

from streamproc.graph.discriminant import LIKENESS, TagSums
from streamproc.graph.rows import unit

DIMENSION = 12
RANDOM = np.random.default_rng(7)
MEANS = RANDOM.standard_normal((4, DIMENSION))
NAMES = ("tea", "tax", "tennis", "tiles")


def notes(count, spread=1.5, seed=0):
    """Notes around the means of four tags, one tag each."""
    random = np.random.default_rng(seed)
    tags = random.integers(4, size=count)
    vectors = MEANS[tags] + spread * random.standard_normal((count, DIMENSION))
    return [(NAMES[tag],) for tag in tags], unit(vectors.astype(np.float32))


def taught(tags, vectors):
    sums = TagSums(DIMENSION)
    sums.add(tags, vectors)
    return sums.discriminant()


def columns(discriminant, vector, names=NAMES, *, own=(), gone=()):
    (likeness,) = discriminant.likenesses(vector[None])
    return likeness.leaving_out(own).without(gone).columns([(name,) for name in names])


def of(table, name):
    return table[:, LIKENESS.index(name)]


def test_a_note_is_most_like_the_notes_of_its_tag():
    discriminant = taught(*notes(400))
    tags, vectors = notes(200, seed=1)
    found = [likeness.best(1) for likeness in discriminant.likenesses(vectors)]
    nearest_mean = [NAMES[np.argmax(unit(MEANS.astype(np.float32)) @ vector)] for vector in vectors]
    right = np.mean([best == list(tag) for best, tag in zip(found, tags, strict=True)])
    assert right > 0.6
    assert right >= np.mean([(best,) == tag for best, tag in zip(nearest_mean, tags, strict=True)]) - 0.05


def test_what_all_notes_share_tells_nothing_and_what_tells_them_apart_counts():
    """Two tags differ in one weak direction; in another, strong one, all notes scatter."""
    random = np.random.default_rng(3)
    side = np.tile([1.0, -1.0], 200)
    raw = np.stack([3 * random.standard_normal(400), 0.3 * side + 0.1 * random.standard_normal(400)], axis=1)
    vectors = np.concatenate([raw, np.full((400, 1), 5.0)], axis=1)
    sums = TagSums(3)
    sums.add([("up",) if each > 0 else ("down",) for each in side], unit(vectors.astype(np.float32)))
    discriminant = sums.discriminant()
    asked = unit(np.array([[6.0, 0.3, 5.0], [-6.0, -0.3, 5.0]], dtype=np.float32))
    assert [likeness.best(1) for likeness in discriminant.likenesses(asked)] == [["up"], ["down"]]


def test_shares_of_all_tags_add_up_to_one():
    tags, vectors = notes(100)
    table = columns(taught(tags, vectors), vectors[0])
    assert of(table, "likeness_soft").sum() == pytest.approx(1.0, abs=1e-5)
    assert of(table, "likeness_sharp").sum() == pytest.approx(1.0, abs=1e-5)
    assert of(table, "likeness_gap").max() == pytest.approx(0.0, abs=1e-6)
    assert np.all(np.abs(of(table, "likeness_cosine")) <= 1)


def test_evidence_is_the_same_whatever_other_tags_are_asked_for():
    tags, vectors = notes(100)
    discriminant = taught(tags, vectors)
    alone, together = columns(discriminant, vectors[3], ("tea",)), columns(discriminant, vectors[3])
    assert alone[0] == pytest.approx(together[0])


def test_a_note_that_is_left_out_of_what_it_taught_is_judged_as_if_it_had_never_been_labelled():
    tags, vectors = notes(60)
    whole = taught(tags, vectors)
    rest = taught(tags[1:], vectors[1:])
    left_out, exact = columns(whole, vectors[0], own=tags[0]), columns(rest, vectors[0])
    seen = columns(whole, vectors[0])
    assert of(seen, "likeness")[NAMES.index(tags[0][0])] > of(exact, "likeness")[NAMES.index(tags[0][0])]
    # The radius of the sphere alone still knows the note.
    assert left_out == pytest.approx(exact, abs=0.01)


def test_the_only_note_of_a_tag_leaves_nothing_behind():
    tags, vectors = notes(60)
    tags[5] = ("rare",)
    left_out = columns(taught(tags, vectors), vectors[5], ("rare", "tea"), own=("rare",))
    assert left_out[0, :5] == pytest.approx([0, of(left_out, "likeness_gap")[0], 0, 0, 0])
    (likeness,) = taught(tags, vectors).likenesses(vectors[5][None])
    assert "rare" in likeness.best(9)
    assert "rare" not in likeness.leaving_out(("rare",)).best(9)


def test_a_tag_that_nobody_has_used_is_neither_like_nor_unlike():
    table = columns(taught(*notes(60)), notes(1, seed=9)[1][0], ("never used",))
    assert of(table, "likeness") == of(table, "likeness_soft") == of(table, "likeness_cosine") == 0


def test_tags_that_have_gone_leave_their_share_to_the_others():
    tags, vectors = notes(100)
    table = columns(taught(tags, vectors), vectors[0], gone=("tea", "tax", "not a tag"))
    assert of(table, "likeness_sharp")[:2] == pytest.approx(0.0)
    assert of(table, "likeness_sharp")[2:].sum() == pytest.approx(1.0, abs=1e-5)


def test_where_every_tag_has_gone_only_the_note_is_known():
    tags, vectors = notes(100)
    table = columns(taught(tags, vectors), vectors[0], gone=NAMES)
    assert not table[:, :5].any()
    assert of(table, "outlying") == pytest.approx(columns(taught(tags, vectors), vectors[0])[:, 5])


def test_tags_that_were_merged_are_one():
    tags, vectors = notes(200)
    merged = taught([("tea",) if tag == ("tax",) else tag for tag in tags], vectors)
    (apart,) = taught(tags, vectors).likenesses(vectors[0][None])
    (one,) = merged.likenesses(vectors[0][None])
    both, exact = apart.columns([("tea", "tax")])[0], one.columns([("tea",)])[0]
    assert both[[0, 4, 5]] == pytest.approx(exact[[0, 4, 5]], abs=1e-4)
    left_out = apart.leaving_out(tags[0]).columns([("tea", "tax")])[0]
    own = ("tea",) if tags[0] in {("tea",), ("tax",)} else tags[0]
    expected = one.leaving_out(own).columns([("tea",)])[0]
    assert left_out[[0, 4, 5]] == pytest.approx(expected[[0, 4, 5]], abs=1e-4)


def test_a_note_that_is_taken_away_was_never_there():
    tags, vectors = notes(80)
    sums = TagSums(DIMENSION)
    sums.add(tags, vectors)
    sums.add(tags[:30], vectors[:30], -1)
    rest = taught(tags[30:], vectors[30:])
    assert columns(sums.discriminant(), vectors[0]) == pytest.approx(columns(rest, vectors[0]), abs=1e-4)


def test_a_note_of_several_tags_counts_for_each():
    tags, vectors = notes(80)
    discriminant = taught([(*tag, "all") for tag in tags], vectors)
    assert discriminant.counts[discriminant.rows["all"]] == 80
    # What all notes have tells none apart: a little less likely than the mean, by the prior alone.
    assert columns(discriminant, vectors[0], ("all",))[0, 0] == pytest.approx(0.0, abs=1e-3)


def test_the_order_of_a_note_s_tags_changes_not_even_the_last_bit():
    random = np.random.default_rng(1)
    names = [f"t{number}" for number in range(60)]
    several = [tuple(random.permutation(names)[:4].tolist()) for _ in range(200)]
    vectors = unit(random.standard_normal((200, DIMENSION)).astype(np.float32))
    one, other = taught(several, vectors), taught([each[::-1] for each in several], vectors)
    for vector in vectors[:20]:
        np.testing.assert_array_equal(columns(one, vector, names), columns(other, vector, names))


def test_more_tags_than_the_table_was_made_for():
    count = 3000
    vectors = unit(RANDOM.standard_normal((count, DIMENSION)).astype(np.float32))
    discriminant = taught([(f"t{number}",) for number in range(count)], vectors)
    assert len(discriminant.rows) == count
    found = [likeness.best(1) for likeness in discriminant.likenesses(vectors[[0, 2999]])]
    assert found == [["t0"], ["t2999"]]


def test_without_labelled_notes_there_is_nothing_to_say():
    assert TagSums(DIMENSION).discriminant() is None


def test_the_best_come_in_order_of_probability_and_no_more_than_are_wanted():
    tags, vectors = notes(100)
    (likeness,) = taught(tags, vectors).likenesses(vectors[0][None])
    shares = of(likeness.columns([(name,) for name in NAMES]), "likeness_sharp")
    assert likeness.best(4) == [NAMES[place] for place in np.argsort(-shares)]
    assert likeness.best(2) == likeness.best(4)[:2]
    assert likeness.best(0) == []


def test_few_notes_of_long_vectors_do_not_make_much_of_directions_in_which_they_hardly_vary():
    random = np.random.default_rng(0)
    vectors = random.standard_normal((60, 200)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    sums = TagSums(200)
    sums.add([(f"t{row % 5}",) for row in range(60)], vectors)
    inverse = np.linalg.eigvalsh(sums.discriminant().inverse)
    assert inverse.max() / inverse.min() < 3


def test_the_next_label_is_of_an_unseen_tag_as_often_as_labels_are_the_only_one_of_their_tag():
    sums = TagSums(4)
    sums.add([["a"], ["b"], ["b", "c"], ["d"]], unit(np.eye(4, dtype=np.float32)))
    assert sums.discriminant().unseen == pytest.approx(3 / 5)
    sums.add([["a"], ["c"], ["d"]], unit(np.eye(4, dtype=np.float32)[:3]))
    assert sums.discriminant().unseen == 0
