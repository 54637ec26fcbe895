import asyncio

import pytest

from streamproc.errors import (
    BusyError,
    DeadlineError,
    DependencyDownError,
    RefusalError,
    RejectedQuestionError,
    SettingsError,
    UnreadableAnswerError,
    UnusableAnswersError,
    UserError,
)
from streamproc.llm.asking import HOPELESS, Manner, ask_all
from streamproc.llm.cache import AnswerCache
from streamproc.llm.endpoint import Endpoint
from streamproc.llm.reply import Usage
from streamproc.llm.retry import Retry
from tests.llm.conftest import HandClock, question
from tests.servers.llm import cuts, fails, hangs, later, refuses, resets, says, trickles

OK = says('{"ok": true}')


async def test_an_answer_comes_with_what_it_cost(ask, language_model):
    (outcome,) = await ask(question())
    assert outcome.value is True
    assert outcome.usage == Usage(prompt_tokens=100, completion_tokens=20)
    (asked,) = language_model.asked
    assert asked.body["model"] == "tiny"
    assert [message["role"] for message in asked.body["messages"]] == ["system", "user"]
    assert asked.body["response_format"]["json_schema"]["strict"] is True


async def test_outcomes_stand_in_the_order_of_the_questions(ask, language_model):
    language_model.act = says(lambda asked: f'{{"ok": {str("yes" in asked.user).lower()}}}')
    outcomes = await ask(*(question(f"{n} {'yes' if n % 3 else 'no'}") for n in range(9)), concurrency=4)
    assert [outcome.value for outcome in outcomes] == [bool(n % 3) for n in range(9)]


async def test_no_more_requests_are_under_way_than_allowed(ask, language_model):
    language_model.slow_seconds = 0.02
    await ask(*(question(str(n)) for n in range(12)), concurrency=3)
    assert language_model.most_at_once == 3


async def test_images_are_passed_through_as_the_protocol_has_them(ask, language_model):
    await ask(
        question("What is this?", images=("https://pictures.example/1.jpg", "data:image/png;base64,AA"))
    )
    assert language_model.asked[0].body["messages"][1]["content"] == [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "https://pictures.example/1.jpg"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}},
    ]


async def test_the_key_is_sent_as_a_bearer_token(ask, language_model):
    language_model.key = "right"
    (outcome,) = await ask(question(), key="right")
    assert outcome.value is True


@pytest.mark.parametrize(
    ("key", "said"), [("wrong", "rejects the key of STREAMPROC_LLM_KEY"), ("", "wants a key")]
)
async def test_a_wrong_key_stops_the_run_and_is_named(ask, language_model, key, said):
    language_model.key = "right"
    with pytest.raises(SettingsError, match=said) as caught:
        await ask(question("1"), question("2"), key=key, concurrency=2)
    assert "\n" not in str(caught.value)
    assert "wrong" not in str(caught.value)


async def test_an_unknown_model_stops_the_run_and_is_named(ask, language_model):
    language_model.act = fails(404, "The model `tiny` does not exist")
    with pytest.raises(SettingsError, match="no model 'tiny'"):
        await ask(question())


@pytest.mark.parametrize("fault", [fails(500), fails(503), fails(429), fails(408), resets()])
async def test_what_passes_is_tried_again(ask, language_model, clock, fault):
    language_model.next_acts += [OK, fault, fault]
    notices = []
    outcomes = await ask(question("1"), question("2"), notice=notices.append)
    assert [outcome.value for outcome in outcomes] == [True, True]
    assert len(language_model.asked) == 4
    first, second = clock.slept
    assert 0.5 <= first <= 1.0 <= second <= 2.0
    assert len(notices) == 2


@pytest.mark.parametrize("fault", [hangs(), trickles(0.05)])
async def test_a_request_without_an_answer_ends_at_its_deadline_and_is_tried_again(
    ask, language_model, fault
):
    language_model.next_acts += [fault]
    (outcome,) = await ask(question(), deadline_seconds=0.2)
    assert outcome.value is True
    assert len(language_model.asked) == 2


async def test_the_pause_that_the_endpoint_asks_for_holds_everybody_back(language_model, cache):
    clock = HandClock()
    language_model.next_acts += [fails(429, headers={"retry-after": "17"}), later(0.1, OK)]
    questions = [question(str(n)) for n in range(6)]
    endpoint, manner = Endpoint(language_model.url, "tiny"), Manner(concurrency=2)
    run = asyncio.create_task(ask_all(endpoint, questions, cache, manner, clock=clock))
    while len(clock.sleepers) < 2:  # noqa: ASYNC110 - the server runs in another thread
        await asyncio.sleep(0.01)
    assert len(language_model.asked) == 2
    clock.advance(16.9)
    assert len(clock.sleepers) == 2
    clock.advance(1.2)
    assert [outcome.value for outcome in await run] == [True] * 6


async def test_a_pause_beyond_all_patience_is_not_waited_for(ask, language_model, clock):
    language_model.act = fails(429, headers={"retry-after": "86400"})
    with pytest.raises(BusyError):
        await ask(*(question(str(n)) for n in range(HOPELESS)))
    assert clock.slept == []


async def test_a_question_that_fails_again_and_again_is_skipped_and_asked_by_the_next_run(
    ask, language_model
):
    retry = Retry(attempts=3)
    language_model.next_acts += [fails(500)] * 3
    first, second = await ask(question("1"), question("2"), retry=retry)
    assert isinstance(first.failure, BusyError)
    assert second.value is True
    again, _ = await ask(question("1"), question("2"), retry=retry)
    assert again.value is True
    assert not again.cached


async def test_questions_that_fail_here_and_there_do_not_stop_the_run(ask, language_model):
    language_model.next_acts += [fails(500), OK] * (2 * HOPELESS)
    outcomes = await ask(*(question(str(n)) for n in range(4 * HOPELESS)), retry=Retry(attempts=1))
    assert [outcome.value for outcome in outcomes] == [None, True] * (2 * HOPELESS)


async def test_an_endpoint_that_does_not_recover_stops_the_run(ask, language_model):
    language_model.next_acts += [OK]
    language_model.act = fails(502)
    with pytest.raises(BusyError, match="502"):
        await ask(*(question(str(n)) for n in range(20)), retry=Retry(attempts=2))
    assert len(language_model.asked) == 1 + 2 * HOPELESS


async def test_an_address_where_nobody_listens_stops_the_run_at_once(cache, clock):
    endpoint = Endpoint("http://127.0.0.1:1/v1", "tiny")
    with pytest.raises(DependencyDownError, match=r"127\.0\.0\.1:1/v1/chat/completions cannot be reached"):
        await ask_all(endpoint, [question(str(n)) for n in range(20)], cache, Manner(), clock=clock)
    assert clock.now < 20


async def test_a_server_that_never_answers_stops_the_run(ask, language_model):
    language_model.act = hangs()
    with pytest.raises(DeadlineError):
        await ask(question("1"), question("2"), deadline_seconds=0.05, retry=Retry(attempts=2))


async def test_an_unreadable_answer_is_asked_for_once_more_with_what_was_wrong(ask, language_model):
    language_model.next_acts += [says('{"ok": "perha')]
    (outcome,) = await ask(question())
    assert outcome.value is True
    assert outcome.usage == Usage(200, 40)
    *_, answer, complaint = language_model.asked[1].body["messages"]
    assert answer == {"role": "assistant", "content": '{"ok": "perha'}
    assert "no JSON object" in complaint["content"]


@pytest.mark.parametrize(
    ("act", "failure"),
    [(says("Yes."), UnreadableAnswerError), (refuses("I cannot help with that"), RefusalError)],
)
async def test_the_second_time_a_question_is_skipped_and_never_paid_for_again(
    ask, language_model, act, failure
):
    language_model.next_acts += [act, act]
    first, second = await ask(question("1"), question("2"))
    assert isinstance(first.failure, failure)
    assert first.value is None
    assert second.value is True
    known, _ = await ask(question("1"), question("2"))
    assert isinstance(known.failure, failure)
    assert (known.cached, known.usage) == (True, first.usage)
    assert len(language_model.asked) == 3


async def test_failed_questions_are_asked_anew_where_that_is_wanted(ask, language_model):
    language_model.next_acts += [refuses("No."), refuses("No.")]
    await ask(question("1"), question("2"))
    first, second = await ask(question("1"), question("2"), ask_again=True)
    assert first.value is True
    assert second.cached


async def test_an_answer_that_was_cut_gets_more_room(ask, language_model):
    language_model.next_acts += [cuts('{"ok"')]
    (outcome,) = await ask(question(max_tokens=50))
    assert outcome.value is True
    assert [asked.body["max_tokens"] for asked in language_model.asked] == [50, 100]


async def test_a_question_that_the_endpoint_does_not_take_is_skipped(ask, language_model):
    language_model.next_acts += [fails(400, "maximum context length is 4096 tokens")]
    first, second = await ask(question("1"), question("2"))
    assert isinstance(first.failure, RejectedQuestionError)
    assert "maximum context length" in str(first.failure)
    assert second.value is True


async def test_an_endpoint_that_takes_no_question_at_all_stops_the_run(ask, language_model):
    language_model.act = fails(400, "this model is for embeddings")
    with pytest.raises(UserError, match="this model is for embeddings"):
        await ask(*(question(str(n)) for n in range(20)))
    assert len(language_model.asked) == HOPELESS


@pytest.mark.parametrize(("act", "said"), [(says("Yes."), "no JSON object"), (refuses("No."), "declines")])
async def test_a_model_that_answers_no_question_usably_is_not_paid_for_all_of_them(
    ask, language_model, act, said
):
    language_model.act = act
    with pytest.raises(UnusableAnswersError, match=rf"tiny: .*{said}.*5 questions in a row.*another model"):
        await ask(*(question(str(n)) for n in range(20)))
    assert len(language_model.asked) == 2 * HOPELESS


async def test_unusable_answers_here_and_there_do_not_stop_the_run(ask, language_model):
    language_model.next_acts += [says("Yes."), says("Yes."), OK] * (2 * HOPELESS)
    outcomes = await ask(*(question(str(n)) for n in range(4 * HOPELESS)))
    assert [outcome.value for outcome in outcomes] == [None, True] * (2 * HOPELESS)


async def test_a_model_that_has_answered_is_asked_on_however_many_answers_cannot_be_used_then(
    ask, language_model
):
    language_model.next_acts += [OK] + [says("Yes.")] * (4 * HOPELESS)
    outcomes = await ask(*(question(str(n)) for n in range(1 + 2 * HOPELESS)))
    assert [outcome.value for outcome in outcomes] == [True] + [None] * (2 * HOPELESS)


async def test_a_page_instead_of_a_completion_says_that_the_address_is_wrong(ask, language_model):
    async def page(_request, _asked):
        from aiohttp import web

        return web.Response(text="<html>Welcome</html>")

    language_model.act = page
    with pytest.raises(UserError, match="ends in /v1"):
        await ask(*(question(str(n)) for n in range(HOPELESS)))


async def test_an_account_without_money_stops_the_run(ask, language_model):
    language_model.act = fails(429, "You exceeded your current quota (insufficient_quota)")
    with pytest.raises(UserError, match="used up"):
        await ask(question("1"), question("2"))
    assert len(language_model.asked) == 1


async def test_a_run_that_was_interrupted_goes_on_where_it_stopped(ask, language_model, tmp_path):
    questions = [question(str(n)) for n in range(10)]
    language_model.next_acts += [OK] * 4 + [hangs()]
    run = asyncio.create_task(ask(*questions))
    while len(language_model.asked) < 5:  # noqa: ASYNC110 - the server runs in another thread
        await asyncio.sleep(0.01)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    with AnswerCache(tmp_path / "answers.sqlite") as reopened:
        outcomes = await ask(*questions, cache=reopened)
    assert [outcome.cached for outcome in outcomes] == [True] * 4 + [False] * 6
    assert len(language_model.asked) == 5 + 6


async def test_the_endpoint_is_not_asked_more_often_than_it_allows(ask, language_model, clock):
    await ask(*(question(str(n)) for n in range(7)), concurrency=3, requests_per_minute=6)
    assert clock.now == pytest.approx(60)


async def test_tokens_count_as_the_endpoint_reports_them(ask, language_model, clock):
    await ask(*(question(str(n)) for n in range(4)), tokens_per_minute=240, reckoned_answer_tokens=1000)
    assert clock.now == pytest.approx(3 * 120 / 240 * 60)  # 120 tokens each


async def test_a_refusal_is_met_with_an_explanation_in_turns_that_alternate(ask, language_model):
    language_model.next_acts += [refuses("I will not"), OK, says("")]
    await ask(question("1"))
    await ask(question("2"))
    roles = ["system", "user", "assistant", "user"]
    for asked, said in ((language_model.asked[1], "I will not"), (language_model.asked[3], "(no answer)")):
        assert [message["role"] for message in asked.body["messages"]] == roles
        assert asked.body["messages"][2]["content"] == said


async def test_a_model_without_a_system_turn_gets_its_words_before_the_users(ask, language_model):
    language_model.next_acts += [fails(400, "System role not supported")]
    await ask(question("Is it?"), question("And this?", images=("https://pictures.example/1.jpg",)))
    plain, with_image = (asked.body["messages"] for asked in language_model.asked[1:])
    assert plain == [{"role": "user", "content": "You judge.\n\nIs it?"}]
    assert [part["type"] for part in with_image[0]["content"]] == ["text", "text", "image_url"]


async def test_what_an_endpoint_says_is_shown_on_one_line_without_the_key(ask, language_model):
    language_model.act = fails(404, "no model\nfor \x1b[31mmy-secret")
    with pytest.raises(SettingsError) as caught:
        await ask(question(), key="my-secret")
    assert "no model for [31m…" in str(caught.value)


async def test_a_proxy_that_cannot_be_used_is_named(ask, monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "gopher://127.0.0.1:1")
    with pytest.raises(SettingsError, match="proxy"):
        await ask(question())


async def test_endpoints_that_know_less_are_asked_in_plainer_ways(ask, language_model):
    language_model.next_acts += [
        fails(400, "'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."),
        fails(400, "'temperature' does not support 0 with this model."),
        fails(400, "response_format type json_schema is unavailable"),
        fails(422, "json_object is not supported"),
        says('Surely:\n```json\n{"ok": true}\n```'),
    ]
    outcomes = await ask(question("1"), question("2"))
    assert [outcome.value for outcome in outcomes] == [True, True]
    structures = [asked.structure for asked in language_model.asked]
    assert structures == ["json_schema"] * 3 + ["json_object", "text", "text"]
    assert language_model.asked[-1].body.keys() == {"model", "messages", "max_completion_tokens"}


async def test_what_one_request_learned_of_the_endpoint_another_does_not_unlearn(ask, language_model):
    no_schema, no_object = fails(400, "no json_schema"), fails(400, "no json_object")
    language_model.next_acts += [later(0.3, no_schema), no_schema, no_object]
    await ask(question("1"), question("2"), concurrency=2)
    structures = [asked.structure for asked in language_model.asked]
    assert structures == ["json_schema"] * 2 + ["json_object", "text", "text"]
