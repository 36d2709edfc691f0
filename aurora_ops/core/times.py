"""Moments given as text: always with a zone, always UTC inside."""

from datetime import UTC, datetime


def to_datetime(text: str) -> datetime | None:
    """The moment that a `UtcTime` names, in UTC; None when it is empty.

    >>> to_datetime("2025-12-12T12:00:00+09:00")
    datetime.datetime(2025, 12, 12, 3, 0, tzinfo=datetime.timezone.utc)
    >>> to_datetime("2025-12-12T12:00:00")
    Traceback (most recent call last):
        ...
    ValueError: the time has no zone, so it names 24 different moments; add Z for UTC, or an offset such as +09:00
    """
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(
            "the time has no zone, so it names 24 different moments; add Z for UTC, or an offset such as +09:00"
        )
    return moment.astimezone(UTC)
