import asyncio
import threading
import time

import pytest

from streamproc.inference.pool import WorkPool


@pytest.fixture
def pool():
    made = WorkPool(2)
    yield made
    made.close()


async def test_every_piece_is_done_once(pool):
    done = []
    await pool.run(done.append, costs=[1] * 500)
    assert sorted(done) == list(range(500))


async def test_the_costliest_piece_begins_first():
    single = WorkPool(1)
    done = []
    await single.run(done.append, costs=[2, 9, 4, 9])
    single.close()
    assert done == [1, 3, 2, 0]


async def test_no_pieces_are_no_work(pool):
    await pool.run(pytest.fail, costs=[])


async def test_an_error_reaches_the_caller_and_drops_what_has_not_begun(pool):
    done = []

    def work(position):
        if position == 0:
            raise ValueError("piece 0")
        time.sleep(0.001)
        done.append(position)

    with pytest.raises(ValueError, match="piece 0"):
        await pool.run(work, costs=[10, *[1] * 200])
    assert len(done) < 200


async def test_a_cancelled_call_leaves_the_threads_to_others(pool):
    begun = threading.Event()
    done = []

    def work(position):
        begun.set()
        time.sleep(0.005)
        done.append(position)

    call = asyncio.create_task(pool.run(work, costs=[1] * 1000))
    await asyncio.to_thread(begun.wait, 5)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await asyncio.wait_for(pool.run(lambda _: None, costs=[1]), timeout=2)
    assert len(done) < 1000
