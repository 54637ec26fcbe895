import numpy as np
import pytest

from streamproc.training import contrastive_batches
from streamproc.training.contrastive_batches import epoch_batches, note_targets, tag_targets
from streamproc.training.note_set import HeldOut, NoteSet
from streamproc.training.pairs import CoViewed, CoViewedPairs, TagPairs


def a_set(*tags, rarity=(1.0, 1.0, 1.0, 1.0)):
    return NoteSet(
        name="drinks",
        note_ids=tuple(f"n{place}" for place in range(len(tags))),
        texts=tuple(f"note {place}" for place in range(len(tags))),
        tags=tuple(np.array(each, dtype=np.int64) for each in tags),
        tag_texts=tuple(f"tag {place}" for place in range(len(rarity))),
        rarity=np.array(rarity, dtype=np.float32),
        held_out=HeldOut((), np.zeros(0, dtype=np.int64), ()),
    )


def targets(each, drawn, notes=None, pairs=None):
    places = np.arange(len(each.texts)) if notes is None else np.array(notes)
    return note_targets(
        places, np.array(drawn).reshape(-1, 2), each, pairs or TagPairs(each.tags, each.rarity)
    )


def test_related_notes_attract_and_strangers_repel():
    found = targets(a_set([0, 1], [0, 1], [2], [3]), [])
    assert found.positive[0].tolist() == [0, 1, 0, 0]
    assert found.negative[0].tolist() == [False, False, True, True]


def test_a_note_that_shares_one_tag_is_no_negative():
    found = targets(a_set([0, 1], [0, 1], [1, 2]), [])
    assert found.positive[0, 2] == 0
    assert not found.negative[0, 2]
    assert not found.negative[2, 0]


def test_a_drawn_pair_attracts_even_over_one_tag():
    found = targets(a_set([0], [0], [1]), [(0, 1)])
    assert found.positive[0].tolist() == [0, 1, 0]
    assert found.positive[1].tolist() == [1, 0, 0]


def test_rarer_tags_in_common_attract_more():
    found = targets(a_set([0, 1, 2, 3], [0, 1], [2, 3], rarity=(0.1, 0.1, 1.0, 1.0)), [])
    assert found.positive[0, 2] == pytest.approx(10 * found.positive[0, 1], rel=0.02)
    assert found.positive[0].sum() == pytest.approx(1)


def test_no_note_is_anything_to_itself():
    found = targets(a_set([0, 1], [0, 1]), [(0, 1)])
    assert not found.positive.diagonal().any()
    assert not found.negative.diagonal().any()


def test_notes_viewed_together_are_no_strangers_whatever_their_tags():
    each = a_set([0], [1], [2])
    pairs = CoViewedPairs([CoViewed("n0", "n1", 1), CoViewed("n0", "n2", 1)], each.note_ids)
    found = targets(each, [(0, 1)], pairs=pairs)
    assert found.positive[0].tolist() == [0, 0.5, 0.5]
    assert not found.negative[2, 0]
    assert found.negative[2, 1]


def test_a_notes_own_tags_attract_and_others_repel():
    found = tag_targets(np.array([0, 1]), np.array([0, 2]), a_set([0, 1, 2], [1]))
    assert found.positive.tolist() == [[0.5, 0.5], [0, 0]]
    assert found.negative.tolist() == [[False, False], [True, True]]


WORLD = a_set(*([[place % 4, (place + 1) % 4] for place in range(40)]))
SINGLE = a_set(*([[place % 2] for place in range(10)]))


def batches(epoch=1, seed=0, most=1000, size=4):
    sets = [WORLD, SINGLE]
    pairs = [TagPairs(each.tags, each.rarity) for each in sets]
    return list(epoch_batches(sets, pairs, pairs_a_batch=size, most_notes=most, seed=seed, epoch=epoch))


def test_an_epoch_sees_every_note_with_a_partner():
    seen = {(batch.set, int(note)) for batch in batches() for note in batch.notes}
    assert seen == {(0, note) for note in range(40)} | {(1, note) for note in range(10)}


def test_a_batch_has_all_tags_of_its_notes():
    for batch in batches():
        each = [WORLD, SINGLE][batch.set]
        assert set(batch.tags.tolist()) == {int(tag) for note in batch.notes for tag in each.tags[note]}


def test_a_batch_has_no_more_tags_than_can_be_read_with_it(monkeypatch):
    monkeypatch.setattr(contrastive_batches, "_MOST_TAGS", 2)
    drawn = batches()
    assert max(len(batch.tags) for batch in drawn) == 2
    assert described(drawn) == described(batches())
    for batch in drawn:
        each = [WORLD, SINGLE][batch.set]
        assert {int(tag) for note in batch.notes for tag in each.tags[note]}.issuperset(batch.tags.tolist())


def test_a_batch_holds_each_note_once_and_a_tag_of_each():
    for batch in batches():
        assert len(set(batch.notes.tolist())) == len(batch.notes) <= 8
        assert (batch.to_tags.positive.sum(axis=1) > 0).all()
        assert (batch.to_notes.positive.sum(axis=1) > 0).all()


def test_no_more_notes_are_drawn_than_asked_for():
    assert sum(len(batch.notes) for batch in batches(most=6)) <= 12


def described(found):
    return [(batch.set, batch.notes.tolist(), batch.tags.tolist()) for batch in found]


def test_the_same_seed_and_epoch_give_the_same_batches():
    assert described(batches()) == described(batches())
    assert described(batches()) != described(batches(epoch=2))
    assert described(batches()) != described(batches(seed=1))
