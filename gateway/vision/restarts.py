"""When a process that ended is started again: a pure back-off.

Theory of operation
    The first restart comes soon (a crash must not cost the door its faces), each further one after
    twice the pause, up to a bound (a worker that dies at its start must not eat the box). A process
    that lived for `steady` seconds was well: the pause begins anew.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Restarts:
    """Times are monotonic seconds."""

    first: float = 0.5
    longest: float = 30.0
    steady: float = 60.0
    pause: float = 0.0  # the pause after the last end; 0 before the first
    started: float = 0.0

    def start(self, now: float) -> Restarts:
        """The process runs since `now`."""
        return replace(self, started=now)

    def end(self, now: float) -> tuple[Restarts, float]:
        """The process ended at `now`; returns when it may be started again."""
        fresh = self.pause == 0.0 or now - self.started >= self.steady
        pause = self.first if fresh else min(self.pause * 2, self.longest)
        return replace(self, pause=pause), now + pause
