import pytest

from streamproc.errors import InputFileError
from streamproc.llm.cache import AnswerCache, CachedAnswer, Ending
from streamproc.llm.reply import Usage

ANSWER = CachedAnswer(Ending.ANSWERED, "yes", Usage(10, 2))


def test_answers_outlive_the_process(tmp_path):
    file = tmp_path / "deep" / "answers.sqlite"
    with AnswerCache(file) as cache:
        cache.put("k", "tiny", "v1", ANSWER)
    with AnswerCache(file) as cache:
        assert cache.get("k") == ANSWER
        assert cache.get("other") is None


def test_two_runs_may_share_a_file(tmp_path):
    file = tmp_path / "answers.sqlite"
    with AnswerCache(file) as one, AnswerCache(file) as two:
        one.put("k", "tiny", "v1", ANSWER)
        two.put("l", "tiny", "v1", ANSWER)
        assert two.get("k") == one.get("l") == ANSWER


def test_a_later_ending_takes_the_place_of_an_earlier_one(cache):
    cache.put("k", "tiny", "v1", CachedAnswer(Ending.REFUSED, "no", Usage()))
    cache.put("k", "tiny", "v1", ANSWER)
    assert cache.get("k") == ANSWER


def test_the_length_of_answers_is_known_by_model_and_version(cache):
    assert cache.mean_completion_tokens("tiny", "v1") is None
    for key, completion in (("k", 10), ("l", 20)):
        cache.put(key, "tiny", "v1", CachedAnswer(Ending.ANSWERED, "", Usage(1, completion)))
    cache.put("m", "large", "v1", CachedAnswer(Ending.ANSWERED, "", Usage(1, 999)))
    assert cache.mean_completion_tokens("tiny", "v1") == 15


def test_a_file_that_is_something_else_is_named_and_left_alone(tmp_path):
    file = tmp_path / "notes.txt"
    file.write_text("something of mine, long enough to be read as the head of a database" * 20)
    before = file.read_bytes()
    with pytest.raises(InputFileError, match=r"notes\.txt cannot be used to keep answers"):
        AnswerCache(file)
    assert file.read_bytes() == before


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputFileError, match="cannot be written"):
        AnswerCache(tmp_path / "file" / "answers.sqlite")
