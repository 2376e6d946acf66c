"""How often the journal is told of the same kind of thing: a crash loop must not fill a disk. Pure."""

from __future__ import annotations


class Sparing:
    """A kind may be told `burst` times at once, and once more for every `every` seconds that pass."""

    def __init__(self, *, burst: int = 5, every: float = 60.0) -> None:
        self._burst, self._every = burst, every
        self._left: dict[str, tuple[float, float]] = {}  # kind -> tokens, as of when
        self._untold: dict[str, int] = {}

    def allow(self, kind: str, now: float) -> int | None:
        """How many were not told since the last one, if this one may be told; else None."""
        tokens, since = self._left.get(kind, (float(self._burst), now))
        tokens = min(float(self._burst), tokens + (now - since) / self._every)
        if tokens < 1:
            self._left[kind] = (tokens, now)
            self._untold[kind] = self._untold.get(kind, 0) + 1
            return None
        self._left[kind] = (tokens - 1, now)
        return self._untold.pop(kind, 0)
