"""At most so many in so long; the others are counted. Pure."""

from __future__ import annotations

from collections import deque


class Limit:
    """`most` in any `seconds`; what is passed over is told with the next that is let through."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most, self._seconds = most, seconds
        self._times: deque[float] = deque()
        self._passed_over = 0

    def admit(self, now: float) -> int | None:
        """None to pass over, else how many were passed over since the last one admitted."""
        while self._times and self._times[0] <= now - self._seconds:
            self._times.popleft()
        if len(self._times) >= self._most:
            self._passed_over += 1
            return None
        self._times.append(now)
        passed_over, self._passed_over = self._passed_over, 0
        return passed_over
