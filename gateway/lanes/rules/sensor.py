"""One protective sensor over time: what it says, and whether it may be believed. Pure.

Theory of operation
    A loop or a photocell is believed only while it says that the way is clear, and only while it behaves
    like one. One that changes more often than traffic can make it (a loose wire, a loop out of tune) is
    RESTLESS: whatever it says, somebody may be under the arm, until it was quiet for SETTLE seconds. One
    that has said 'occupied' for `stuck_after` is told as stuck; the arm stays up meanwhile, as it must.
    A photocell that saw none of BLIND vehicles in a row that stood on the loop is blind: it is not believed
    until its beam was broken and came back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

CHANGES, WITHIN = 10, 3.0  # so many changes within so many seconds are no traffic
SETTLE = 5.0  # seconds without a change until a restless sensor is believed again
BLIND = 3  # vehicles in a row that a photocell may miss


@dataclass(frozen=True, slots=True)
class Sensor:
    """`clear` is None while its wire is gone; times are monotonic seconds."""

    name: str
    stuck_after: float
    fitted: bool = True
    clear: bool | None = None
    since: float | None = None  # when it began to say 'occupied'
    stuck: bool = False
    changes: tuple[float, ...] = ()  # the newest
    restless_until: float | None = None
    missed: int = 0  # vehicles in a row

    @property
    def restless(self) -> bool:
        return self.restless_until is not None

    @property
    def blind(self) -> bool:
        return self.missed >= BLIND

    @property
    def believed(self) -> bool | None:
        """Whether the way is clear; None: it says nothing that may be believed."""
        return None if self.restless or self.blind else self.clear

    @property
    def deadline(self) -> float | None:
        stuck_at = None if self.since is None or self.stuck else self.since + self.stuck_after
        return min((at for at in (stuck_at, self.restless_until) if at is not None), default=None)

    def says(self, now: float, *, clear: bool | None) -> Sensor:
        """After it said `clear` at `now`."""
        if clear is self.clear:
            return self
        changes = tuple(at for at in self.changes if now - at < WITHIN)[-CHANGES + 1 :] + (now,)
        restless = self.restless or len(changes) >= CHANGES
        broken = clear is True and self.clear is False
        return replace(
            self,
            clear=clear,
            since=now if clear is False else None,
            stuck=False,
            changes=changes,
            restless_until=now + SETTLE if restless else None,
            missed=0 if broken else self.missed,
        )

    def expired(self, now: float) -> Sensor:
        """After its deadline."""
        after = self
        if after.restless_until is not None and after.restless_until <= now:
            after = replace(after, restless_until=None, changes=())
        if after.since is not None and not after.stuck and after.since + after.stuck_after <= now:
            after = replace(after, stuck=True)
        return after
