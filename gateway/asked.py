"""Who waits for a machine's answer: a token travels with the input and comes back with the answer."""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

from gateway.errors import Refused

AnswerT = TypeVar("AnswerT")

ANSWER_WITHIN = 2.0  # seconds; a machine's queue is empty within milliseconds, or something is very wrong


class Asked(Generic[AnswerT]):
    """The open questions to one machine."""

    def __init__(self) -> None:
        self._waiting: dict[int, asyncio.Future[AnswerT]] = {}
        self._tokens = 0

    def ask(self) -> tuple[int, asyncio.Future[AnswerT]]:
        """A token for an input whose answer somebody waits for."""
        self._tokens += 1
        token = self._tokens
        future: asyncio.Future[AnswerT] = asyncio.get_running_loop().create_future()
        self._waiting[token] = future
        future.add_done_callback(lambda _done: self._waiting.pop(token, None))  # also of who waits no longer
        return token, future

    def answer(self, token: int, answer: AnswerT) -> None:
        """Tell who waits under `token`; nobody may, by now."""
        waiting = self._waiting.pop(token, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)


async def answered(waiting: asyncio.Future[AnswerT], otherwise: Refused) -> AnswerT:
    """The answer; raises `otherwise` when none comes within ANSWER_WITHIN."""
    try:
        async with asyncio.timeout(ANSWER_WITHIN):
            return await waiting
    except TimeoutError as error:
        raise otherwise from error
