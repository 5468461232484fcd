"""Turns at what there is little of: in order, and refused where too many wait or too long."""

from __future__ import annotations

import asyncio

import pytest

from bots.web.limits import Full, Turns


def test_turns_are_taken_in_order() -> None:
    async def run() -> list[int]:
        turns, order = Turns(1, most_waiting=10, longest_s=5), list[int]()

        async def take(number: int) -> None:
            async with turns.taken():
                order.append(number)
                await asyncio.sleep(0)

        await asyncio.gather(*(take(number) for number in range(5)))
        return order

    assert asyncio.run(run()) == [0, 1, 2, 3, 4]


def test_whoever_would_wait_among_too_many_is_refused_at_once() -> None:
    async def run() -> None:
        turns = Turns(1, most_waiting=2, longest_s=5)
        async with turns.taken():
            waiting = [asyncio.create_task(_take(turns)) for _ in range(2)]
            await asyncio.sleep(0)
            assert turns.is_busy
            with pytest.raises(Full):
                await _take(turns)
        await asyncio.gather(*waiting)
        assert not turns.is_busy

    asyncio.run(run())


def test_whoever_waits_too_long_is_refused_and_leaves_no_trace() -> None:
    async def run() -> None:
        turns = Turns(1, most_waiting=1, longest_s=0.01)
        async with turns.taken():
            for _ in range(3):
                with pytest.raises(Full):
                    await _take(turns)
        await _take(turns)

    asyncio.run(run())


async def _take(turns: Turns) -> None:
    async with turns.taken():
        pass
