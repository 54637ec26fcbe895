import pytest

from streamproc.errors import UserError
from streamproc.evaluation.dataset import Split, read_dataset
from streamproc.evaluation.experiment import Experiment
from streamproc.evaluation.new_tags import new_tags
from streamproc.evaluation.prepared import prepare
from streamproc.graph.thresholds import FITTED
from tests.evaluation.worlds import HOBBIES, MODELS, write_hobbies


def test_a_share_of_the_tags_loses_its_history_and_is_found_by_its_definition(experiment, bag_cache):
    described, named = new_tags(experiment, 1 / 3, 0, bag_cache)
    assert (described.described, named.described) == (True, False)
    assert (described.tags, described.notes, described.gold) == (2, 8, 8)
    assert described.recall_20 == described.seen_recall_20 == described.ratio == 1
    assert described.recall_served == described.seen_recall_served == described.precision_1_new == 1


def test_names_that_say_nothing_leave_new_tags_behind(tmp_path, bag_cache):
    names = {tag: f"code {number}" for number, tag in enumerate(HOBBIES)}
    prepared = prepare(read_dataset(write_hobbies(tmp_path / "hobbies", names=names)), bag_cache)
    experiment = Experiment.of(prepared, MODELS, FITTED, Split.TEST, lambda _line: None)
    described, named = new_tags(experiment, 1 / 3, 0, bag_cache)
    assert named.precision_1_new < described.precision_1_new
    assert named.seen_recall_20 == described.seen_recall_20


def test_what_nobody_gave_is_not_emitted_by_votes(experiment, bag_cache):
    described, _ = new_tags(experiment, 1 / 3, 0, bag_cache)
    assert (described.emitted, described.emitted_recall) == (0, 0)


def test_the_seed_decides_which_tags_are_drawn(experiment, bag_cache):
    first, again = (new_tags(experiment, 1 / 3, 0, bag_cache) for _ in range(2))
    assert first == again


@pytest.mark.parametrize("share", [-0.1, 1, 1.5])
def test_a_share_that_is_none_is_refused(experiment, bag_cache, share):
    with pytest.raises(UserError, match="between 0 and 1"):
        new_tags(experiment, share, 0, bag_cache)
