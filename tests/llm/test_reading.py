import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.errors import UnreadableAnswerError
from streamproc.llm.reading import read_answer


class Answer(msgspec.Struct):
    score: float


@pytest.mark.parametrize(
    "text",
    [
        '{"score": 0.5}',
        '{"score": "0.5"}',
        '```json\n{"score": 0.5}\n```',
        'Here you are: {"score": 0.5}. Anything else?',
        '<think>{"score": 1.0}? No.</think>\n{"score": 0.5}',
        'Of {these} I chose {"score": 0.5, "because": "of {braces} inside"}',
        '{"note": 1} {"score": 0.5, "more": {"score": 0.9}}',
    ],
)
def test_the_answer_is_found_in_what_surrounds_it(text):
    assert read_answer(text, Answer).score == 0.5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no JSON object"),
        ("I'd say 0.5", "no JSON object"),
        ('{"score": 0.5', "no JSON object"),
        ('{"score": NaN}', "no JSON object"),
        ('{"grade": 0.5}', "score"),
        ("[0.5]", "no JSON object"),
        ('{"a":' * 100_000, "no JSON object"),
        ("{" * 100_000, "no JSON object"),
    ],
)
def test_what_is_no_answer_is_said(text, said):
    with pytest.raises(UnreadableAnswerError, match=said):
        read_answer(text, Answer)


@given(st.text())
def test_no_text_makes_it_fail_otherwise(text):
    with pytest.raises(UnreadableAnswerError):
        read_answer("{" + text, Answer)
