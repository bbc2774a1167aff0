import asyncio

import pytest

from lesionlens.serving.limits import Admission, Budget, RateLimit
from lesionlens.serving.problems import Problem


def test_admission_lets_so_many_in_queues_some_and_refuses_the_rest():
    async def scene():
        admission = Admission(active=2, queue=1)
        go, order = asyncio.Event(), []

        async def visit(name):
            async with admission:
                order.append(name)
                await go.wait()

        tasks = [asyncio.create_task(visit(name)) for name in "abc"]
        await asyncio.sleep(0)
        assert (admission.active, admission.waiting, order) == (2, 1, ["a", "b"])
        with pytest.raises(Problem) as found:
            admission.check()
        assert (found.value.code, found.value.headers["Retry-After"]) == ("busy", "1")
        with pytest.raises(Problem):
            await visit("d")
        go.set()
        await asyncio.gather(*tasks)
        assert (admission.active, admission.waiting, order) == (0, 0, ["a", "b", "c"])

    asyncio.run(scene())


def test_who_gives_up_waiting_leaves_no_hole():
    async def scene():
        admission = Admission(active=1, queue=2)
        go = asyncio.Event()

        async def visit():
            async with admission:
                await go.wait()

        first, second, third = (asyncio.create_task(visit()) for _ in range(3))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.sleep(0)
        assert (admission.active, admission.waiting) == (1, 1)
        first.cancel()
        third_waits = asyncio.create_task(asyncio.sleep(0.01))
        await third_waits
        third.cancel()  # it has the place by now
        await asyncio.gather(first, second, third, return_exceptions=True)
        assert (admission.active, admission.waiting) == (0, 0)

    asyncio.run(scene())


def test_a_place_handed_to_one_who_is_cancelled_in_the_same_moment_goes_on():
    async def scene():
        admission = Admission(active=1, queue=2)
        go = asyncio.Event()

        async def visit():
            async with admission:
                await go.wait()

        first, second = asyncio.create_task(visit()), asyncio.create_task(visit())
        await asyncio.sleep(0)
        go.set()
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.gather(first, second, return_exceptions=True)
        assert (admission.active, admission.waiting) == (0, 0)

    asyncio.run(scene())


def test_a_budget_is_shared_and_given_back():
    budget = Budget(10)
    with budget.share() as one:
        one.take(6)
        with budget.share() as other:
            other.take(4)
            with pytest.raises(Problem) as found:
                other.take(1)
            assert found.value.code == "busy"
        assert budget.used == 6
    assert budget.used == 0


def test_a_rate_by_hand():
    rate = RateLimit(60)  # one a second, a burst of ten
    for _ in range(10):
        rate.take("a", now=0.0)
    with pytest.raises(Problem) as found:
        rate.take("a", now=0.5)
    assert (found.value.code, found.value.status, found.value.headers["Retry-After"]) == ("rate_limited", 429, "1")
    rate.take("b", now=0.5)
    rate.take("a", now=1.0)
    with pytest.raises(Problem):
        rate.take("a", now=1.0)


def test_no_rate_is_no_limit():
    rate = RateLimit(0)
    for _ in range(1000):
        rate.take("a", now=0.0)
