"""Which second to restore to: named, or the newest, the oldest, or a random one of those that can be restored, or the last before a statement."""

import random
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from aurora_ops.aws.access import Access
from aurora_ops.core import waiting
from aurora_ops.core.times import BEFORE, BEFORE_FORMS, CLONE, RESTORE_WORDS, to_datetime
from aurora_ops.core.waiting import WaitingError
from aurora_ops.restore import statement_time
from aurora_ops.restore.statement_time import RestoreTimeError

LATEST, OLDEST, RANDOM = RESTORE_WORDS
# The oldest restorable second moves on while a restore is being prepared: a twentieth of the window, at most five minutes, later.
_MARGIN, _SHARE = timedelta(minutes=5), 20
_FIRST_SECONDS = 30.0


@dataclass(frozen=True)
class Asked:
    """A restore time as it was asked for. `moment` None and no word: the drill sets its own."""

    text: str = ""
    seed: int = 0  # of the random one; 0: drawn, and told

    def __post_init__(self) -> None:
        if self.text in (*RESTORE_WORDS, CLONE) or self.is_statement:
            return
        try:
            moment = to_datetime(self.text)
        except ValueError as error:
            words = ", ".join(RESTORE_WORDS)
            raise RestoreTimeError(
                f"restore_to={self.text!r} cannot be used, so nothing was changed: {error}. Name a second with a zone, such as "
                f"2025-12-12T12:00:00Z, or one of {words}, or {BEFORE_FORMS}."
            ) from None
        if moment and moment.microsecond:
            raise RestoreTimeError(
                f"restore_to={self.text!r}: a restore point is a whole second. Leave the fraction out."
            )

    @property
    def is_statement(self) -> bool:
        """Whether it is the last second before a statement."""
        return BEFORE.fullmatch(self.text) is not None

    @property
    def is_clone(self) -> bool:
        """Whether a clone is asked for: of now, and of no backup."""
        return self.text == CLONE

    @property
    def is_own(self) -> bool:
        """Whether the drill sets a restore point of its own."""
        return not self.text

    def resolve(self, earliest: datetime, latest: datetime) -> tuple[datetime, str]:
        """The second meant in a window, whole, and how it came about. It may lie outside where it was named.

        >>> window = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 8, tzinfo=UTC)
        >>> Asked("latest").resolve(*window)[1]
        'latest: 2026-11-08 00:00:00Z'
        >>> Asked("random", seed=7).resolve(*window) == Asked("random", seed=7).resolve(*window)
        True
        """
        first, last = _whole(earliest) + timedelta(seconds=1), _whole(latest)
        oldest = min(first + min(_MARGIN, (last - first) / _SHARE), last) if last > first else last
        oldest = _whole(oldest)
        if self.text == LATEST:
            return last, f"latest: {last:%F %T}Z"
        if self.text == OLDEST:
            return oldest, f"oldest: {oldest:%F %T}Z"
        if self.text == RANDOM:
            seed = self.seed or secrets.randbelow(10**6) + 1
            seconds = random.Random(seed).randint(0, max(0, int((last - oldest).total_seconds())))  # noqa: S311 - a sample, not a secret
            moment = oldest + timedelta(seconds=seconds)
            return moment, f"random with seed {seed}: {moment:%F %T}Z"
        named = to_datetime(self.text)
        if named is None:
            raise RestoreTimeError("no restore time was asked for, so there is none to find. Name one.")
        return named, f"{named:%F %T}Z, as asked"


def in_window(asked: Asked, access: Access) -> tuple[datetime, str]:
    """The second meant, among those that the cluster can be restored to now, and how it came about.

    A cluster that was made a moment ago may have no whole second yet: where any will do, one is waited for.
    """
    if asked.is_statement:
        return statement_time.find(asked.text, access)
    window = [datetime.now(UTC)] * 2

    def has_a_second() -> bool:
        source, now = access.described(), datetime.now(UTC)
        window[:] = source.earliest_restorable_utc or now, source.latest_restorable_utc or now
        return asked.text not in RESTORE_WORDS or window[0] <= _whole(window[1])

    with suppress(WaitingError):  # the preflight says then what there is
        waiting.wait_until("a whole second to restore to", has_a_second, _FIRST_SECONDS)
    return asked.resolve(*window)


def _whole(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)
