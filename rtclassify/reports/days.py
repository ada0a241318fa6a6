"""Days and hours as people count them, in milliseconds since 1970."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from rtclassify.errors import UsageError


def zone(name: str) -> ZoneInfo:
    """Return the time zone called `name`.

    Raises:
        UsageError: If there is none.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UsageError(
            f"{name} is no time zone; give one such as Europe/Berlin, or UTC."
        ) from error


def parse(text: str) -> date:
    """Read a day.

    Raises:
        UsageError: If it is none.
    """
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text} is no day; write it as in 2026-03-14.") from error


def moment(text: str) -> int:
    """Read a time; one without an offset is UTC.

    Raises:
        UsageError: If it is none.
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text} is no time; write it as in 2026-03-14T09:00:00Z.") from error
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def bounds(day: date, tz: ZoneInfo) -> tuple[int, int]:
    """Return when a day begins and ends; it has 23 or 25 hours when the clocks change."""
    midnights = (datetime.combine(d, time.min, tz) for d in (day, day + timedelta(days=1)))
    start, end = (round(midnight.timestamp() * 1000) for midnight in midnights)
    return start, end


def day_of(utc_ms: int, tz: ZoneInfo) -> date:
    """Return the day in which a moment lies."""
    return datetime.fromtimestamp(utc_ms / 1000, tz).date()


def instant(utc_ms: int, tz: ZoneInfo) -> str:
    """Return a moment as RFC 3339 with milliseconds."""
    said = datetime.fromtimestamp(utc_ms / 1000, tz).isoformat(timespec="milliseconds")
    return said.replace("+00:00", "Z")
