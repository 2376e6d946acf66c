"""Dates as people type them. A day alone means the whole day, in the site's zone. Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from gateway.errors import BadRequest, N_


def begin_of(text: str, zone: ZoneInfo) -> datetime | None:
    """'2026-12-01' is from that day's first moment. Raises BadRequest."""
    return _parse(text, zone, whole_days=0)


def end_of(text: str, zone: ZoneInfo) -> datetime | None:
    """'2026-12-31' is until that day's last moment. Raises BadRequest."""
    return _parse(text, zone, whole_days=1)


def _parse(text: str, zone: ZoneInfo, whole_days: int) -> datetime | None:
    if not text:
        return None
    try:
        if len(text) == len("2026-12-31"):
            day = date.fromisoformat(text) + timedelta(days=whole_days)
            return datetime.combine(day, time(), zone).astimezone(UTC)
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC).replace(microsecond=0)
    except (ValueError, OverflowError) as error:
        raise BadRequest(
            N_("'{text}' is no date"),
            mend=N_("write a day, 2026-12-31, or a moment, 2026-12-31T18:00"),
            text=text[:40],
        ) from error
