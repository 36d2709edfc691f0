"""Moments given as text, always with a zone and UTC inside; and the day that counts as today."""

import os
import re
from datetime import UTC, date, datetime

from aurora_ops.core.errors import InputError

# A history of capacity: less than a week is none to draw a month from, and CloudWatch keeps no more.
HISTORY_DAYS = (7, 455)

# Instead of a second to restore to: the newest that can be restored, the oldest, a random one.
RESTORE_WORDS = ("latest", "oldest", "random")
CLONE = "clone"  # of now, and of no backup: a rehearsal
# Or the last second before a statement: by its transaction id, or by a row as it is since.
BEFORE = re.compile(r"before-xid:(?P<xid>\d{1,20})|before-row:(?P<table>[^:]+):(?P<key>[^=]+=.*)", re.DOTALL)
BEFORE_FORMS = "before-xid:4711, before-row:public.orders:id=42"

# Stored outputs are made, and compared, as of one day. Where it is not set, a day that is not named is today.
AS_OF = "AURORA_OPS_AS_OF"


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


def today() -> date:
    """The day, in UTC, on which the age of anything is judged where no day is named: the only place that decides it.

    The environment variable AURORA_OPS_AS_OF holds the clock still, for outputs that are to come out the same again.

    Raises
    ------
    InputError
        The variable holds no date.
    """
    fixed = os.environ.get(AS_OF, "")
    try:
        return date.fromisoformat(fixed) if fixed else datetime.now(UTC).date()
    except ValueError:
        raise InputError(
            f"the environment variable {AS_OF}={fixed!r} is no date, so the age of the prices cannot be told; "
            'unset it, or use a form such as "2026-11-23".'
        ) from None
