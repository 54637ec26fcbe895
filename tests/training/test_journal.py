import msgspec
import pytest

from streamproc.errors import UserError
from streamproc.training.journal import Epoch, Journal, Progress, fingerprint


def writer(content):
    return lambda file: file.write_text(content)


def files(journal):
    return sorted(each.name for each in journal.directory.glob("*.pt"))


def test_a_run_that_was_never_saved_begins_at_its_first_batch(tmp_path):
    journal = Journal(tmp_path / "run")
    assert journal.open("mine") == Progress("mine")
    assert not journal.directory.exists()


def test_a_saved_run_goes_on_where_it_was(tmp_path):
    journal = Journal(tmp_path / "run")
    at = Progress("mine", epoch=2, batches=50, loss=1.5, epochs=(Epoch(0.1, 0.0), Epoch(None, 2.0)))
    saved = journal.save(at, state=writer("weights"))
    assert Journal(tmp_path / "run").open("mine") == saved
    assert journal.file(saved.state).read_text() == "weights"


def test_only_files_that_the_journal_names_are_kept(tmp_path):
    journal = Journal(tmp_path / "run")
    at = journal.save(Progress("mine", batches=50), state=writer("old"), best=writer("best"))
    at = journal.save(msgspec.structs.replace(at, batches=100), state=writer("new"))
    assert files(journal) == sorted([at.state, at.best])
    assert journal.file(at.best).read_text() == "best"


def test_a_run_killed_while_it_saves_goes_on_from_the_save_before(tmp_path):
    journal = Journal(tmp_path / "run")
    before = journal.save(Progress("mine", batches=50), state=writer("before"))

    def killed(file):
        file.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        journal.save(msgspec.structs.replace(before, batches=100), state=killed)
    found = journal.open("mine")
    assert found == before
    assert journal.file(found.state).read_text() == "before"


def test_another_run_is_not_gone_on_with(tmp_path):
    journal = Journal(tmp_path / "run")
    journal.save(Progress("mine"))
    with pytest.raises(UserError, match="other data or settings"):
        journal.open("another")


def test_a_damaged_journal_says_what_to_remove(tmp_path):
    journal = Journal(tmp_path / "run")
    journal.save(Progress("mine"))
    (journal.directory / "journal.json").write_text("{")
    with pytest.raises(UserError, match=f"remove {journal.directory}"):
        journal.open("mine")


def test_a_fingerprint_tells_where_one_part_ends():
    assert fingerprint(["ab", "c"]) != fingerprint(["a", "bc"])
    assert fingerprint(["ab", b"c"]) == fingerprint(["ab", "c"])
