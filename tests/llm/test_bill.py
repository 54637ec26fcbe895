from pathlib import Path

import pytest

from streamproc.errors import BundleError
from streamproc.inference.bundle import default_bundle_path
from streamproc.llm.bill import Bill, Prices, reckon
from streamproc.llm.endpoint import Endpoint
from streamproc.llm.prompt import IMAGE_TOKENS
from streamproc.llm.tokens import token_counter
from tests.llm.conftest import question
from tests.servers.llm import refuses

HERE = Endpoint("http://here/v1", "tiny")


def words(texts):
    return [len(text.split()) for text in texts]


def test_questions_and_their_images_and_answers_are_counted(cache):
    asked = [question("one two three"), question("four", images=("u", "v"))]
    assert reckon(asked, HERE, cache, words, 50) == Bill(
        questions=2,
        known=0,
        images=2,
        prompt_tokens=2 * 2 + 3 + 1 + 2 * IMAGE_TOKENS,  # "You judge." stands before each
        completion_tokens=100,
        measured=False,
    )


async def test_known_answers_cost_nothing_and_tell_how_long_the_others_will_be(cache, ask, language_model):
    await ask(question("1"))
    endpoint = Endpoint(language_model.url, "tiny")
    bill = reckon([question("1"), question("2"), question("3")], endpoint, cache, words, 50)
    assert (bill.questions, bill.known) == (2, 1)
    assert (bill.completion_tokens, bill.measured) == (2 * 20, True)


async def test_questions_that_are_asked_again_cost_again(cache, ask, language_model):
    language_model.act = refuses("No.")
    await ask(question("1"), question("2"))
    endpoint = Endpoint(language_model.url, "tiny")
    assert reckon([question("1")], endpoint, cache, words, 50).questions == 0
    assert reckon([question("1")], endpoint, cache, words, 50, ask_again=True).questions == 1


def test_another_model_or_endpoint_or_prompt_is_asked_anew(cache):
    keys = {
        asked.prompt.key(endpoint)
        for asked in (question("1"), question("2"), question("1", images=("u",)))
        for endpoint in (HERE, Endpoint("http://here/v1", "large"), Endpoint("http://there/v1", "tiny"))
    }
    assert len(keys) == 9


def test_the_amount_follows_from_prices_a_million():
    bill = Bill(10, 0, 0, 2_000_000, 500_000, measured=False)
    assert bill.amount(Prices(prompt=0.15, completion=0.6)) == pytest.approx(0.6)


def test_tokens_are_counted_whole_however_long_the_text():
    count = token_counter(default_bundle_path() / "encoder" / "tokenizer.json")
    one, many, none = count(["tea", "tea " * 5000, ""])
    assert (one, many, none) == (1, 5000, 0)


def test_a_file_that_is_no_tokenizer_is_named(tmp_path):
    file: Path = tmp_path / "tokenizer.json"
    file.write_text("{}")
    with pytest.raises(BundleError, match=r"tokenizer\.json"):
        token_counter(file)
