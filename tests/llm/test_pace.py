import asyncio

from hypothesis import given
from hypothesis import strategies as st

from streamproc.llm.pace import Pace
from tests.llm.conftest import JumpClock


async def starts(pace, clock, tokens):
    """When each of these requests, all ready at once, is let through."""
    moments = []

    async def one(count):
        await pace.wait(count)
        moments.append(clock.now)

    await asyncio.gather(*(one(count) for count in tokens))
    return moments


@given(st.integers(1, 600), st.integers(2, 40))
def test_no_minute_has_more_requests_than_allowed(per_minute, requests):
    clock = JumpClock()

    async def run():
        return await starts(Pace(clock, per_minute), clock, [1] * requests)

    moments = asyncio.run(run())
    for start in moments:
        assert sum(start <= each < start + 60 - 1e-6 for each in moments) <= per_minute


@given(st.lists(st.integers(1, 5000), min_size=2, max_size=30))
def test_a_request_waits_until_the_tokens_before_it_have_had_their_time(tokens):
    clock = JumpClock()

    async def run():
        return await starts(Pace(clock, tokens_per_minute=6000), clock, tokens)

    moments = asyncio.run(run())
    assert all(
        abs(later - sooner - count / 100) < 1e-6
        for sooner, later, count in zip(moments, moments[1:], tokens, strict=False)
    )


async def test_without_limits_nobody_waits():
    clock = JumpClock()
    assert await starts(Pace(clock), clock, [1000] * 5) == [0] * 5


async def test_a_cheap_answer_frees_tokens_and_never_the_time_between_requests():
    clock = JumpClock()
    pace = Pace(clock, requests_per_minute=60, tokens_per_minute=600)
    await pace.wait(500)
    pace.settle(reckoned=500, used=0)
    await pace.wait(1)
    assert clock.now == 1


async def test_while_the_endpoint_wants_to_be_left_alone_nobody_is_let_through():
    clock = JumpClock()
    pace = Pace(clock, requests_per_minute=60)
    pace.hold(30)
    assert await starts(pace, clock, [1, 1]) == [30, 31]
