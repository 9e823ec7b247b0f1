from __future__ import annotations

import asyncio

import pytest

from spacy_mner.serve.batcher import DynamicBatcher, QueueFullError


def run(scenario, *, batch_size=4, max_wait=0.02, max_queue=10, n_concurrent=1, error=None):
    """Run a scenario with a batcher that squares numbers; return its result and the batches."""
    batches = []

    async def square(items):
        batches.append(items)
        await asyncio.sleep(0.01)
        if error in items:
            raise ValueError(error)
        return [item * item for item in items]

    async def main():
        batcher = DynamicBatcher(
            square,
            batch_size=batch_size,
            max_wait=max_wait,
            max_queue=max_queue,
            n_concurrent=n_concurrent,
        )
        task = asyncio.create_task(batcher.run())
        try:
            return await asyncio.wait_for(scenario(batcher), 10)
        finally:
            task.cancel()

    return asyncio.run(main()), batches


def submit_all(*requests):
    async def scenario(batcher):
        return await asyncio.gather(*map(batcher.submit, requests), return_exceptions=True)

    return scenario


@pytest.mark.parametrize(
    ("requests", "batches"),
    [
        ([[1], [2], [3]], [[1, 2, 3]]),
        ([[1], [2], [3], [4], [5]], [[1, 2, 3, 4], [5]]),
        # The items of a request stay together, also if there are more than fit into a batch.
        ([[1, 2, 3], [4, 5]], [[1, 2, 3], [4, 5]]),
        ([[1, 2, 3, 4, 5, 6]], [[1, 2, 3, 4, 5, 6]]),
    ],
)
def test_requests_that_arrive_together_are_computed_together(requests, batches):
    results, computed = run(submit_all(*requests))
    assert results == [[item * item for item in items] for items in requests]
    assert computed == batches


def test_a_request_waits_no_longer_than_the_maximum():
    async def scenario(batcher):
        loop = asyncio.get_running_loop()
        start = loop.time()
        await batcher.submit([1])
        return loop.time() - start

    seconds, _ = run(scenario, max_wait=0.1)
    assert 0.1 <= seconds < 1
    seconds, _ = run(scenario, max_wait=5, batch_size=1)
    assert seconds < 1


@pytest.mark.parametrize(
    ("requests", "batches"),
    [
        ([[1], [2], [3], [4], [5], [6]], [[1, 2], [3, 4], [5, 6]]),
        ([[1], [2]], [[1], [2]]),
        # No batch is larger than the limit.
        ([[n] for n in range(15)], [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [12, 13, 14]]),
    ],
)
def test_batches_that_begin_at_the_same_time_share_what_waits(requests, batches):
    _, computed = run(submit_all(*requests), n_concurrent=3, max_queue=20, max_wait=0.001)
    assert computed == batches


@pytest.mark.parametrize("n_concurrent", [1, 2, 3])
def test_as_many_batches_as_allowed_are_computed_at_the_same_time(n_concurrent):
    n_computed, most = 0, 0

    async def compute(items):
        nonlocal n_computed, most
        n_computed += 1
        most = max(most, n_computed)
        await asyncio.sleep(0.01 * items[0])  # some end before those that began earlier
        n_computed -= 1
        return items

    async def main():
        batcher = DynamicBatcher(
            compute, batch_size=1, max_wait=0, max_queue=10, n_concurrent=n_concurrent
        )
        task = asyncio.create_task(batcher.run())
        try:
            return await asyncio.gather(*[batcher.submit([i]) for i in (5, 3, 4, 1, 2)])
        finally:
            task.cancel()

    assert asyncio.run(main()) == [[5], [3], [4], [1], [2]]
    assert most == n_concurrent


def test_a_full_queue_refuses_a_request_at_once_and_accepts_the_next_one_later():
    async def scenario(batcher):
        first = await submit_all(*[[i] for i in range(12)])(batcher)
        return first, await batcher.submit([7])

    (first, later), _ = run(scenario)
    assert [type(one) for one in first] == [list] * 10 + [QueueFullError] * 2
    assert later == [49]


def test_an_error_reaches_the_requests_of_its_batch_only():
    results, _ = run(submit_all([1, 2], [3, 4], [5]), error=3)
    assert [isinstance(one, ValueError) for one in results] == [True, True, False]


def test_a_request_that_was_cancelled_is_not_computed():
    async def scenario(batcher):
        cancelled = asyncio.create_task(batcher.submit([1]))
        other = asyncio.create_task(batcher.submit([2]))
        await asyncio.sleep(0)
        cancelled.cancel()
        return await other

    assert run(scenario) == ([4], [[2]])


def test_a_request_that_was_cancelled_leaves_its_room_in_the_queue():
    async def scenario(batcher):
        for _ in range(3):
            cancelled = asyncio.create_task(batcher.submit(range(10)))
            await asyncio.sleep(0)
            cancelled.cancel()
            await asyncio.sleep(0)
        return batcher.n_queued

    assert run(scenario, batch_size=100, max_wait=1, max_queue=10) == (0, [])


def test_a_batch_whose_requests_were_all_cancelled_is_not_computed():
    async def scenario(batcher):
        cancelled = asyncio.create_task(batcher.submit([1]))
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.sleep(0.1)
        return await batcher.submit([2])

    assert run(scenario) == ([4], [[2]])
