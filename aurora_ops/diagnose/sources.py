"""Where a window of load comes from: a packaged recording, a bundle that a run kept, or the API."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aurora_ops.aws import insights, which_cluster
from aurora_ops.aws.session import SANDBOX, Session
from aurora_ops.core import environments
from aurora_ops.core.errors import InputError
from aurora_ops.core.times import to_datetime
from aurora_ops.load import bundle as bundles
from aurora_ops.load.bundle import Bundle
from aurora_ops.load.part import Part

_LONGEST_DAYS = 731  # of Performance Insights, by botocore's model; Database Insights advanced has 465
Opener = Callable[[str, str], Session]


def is_path(source: str) -> bool:
    """Whether `source` is meant as a bundle's file.

    >>> [is_path(text) for text in ("live", "recording", "runs/x/database-load.json.gz", "2026-11-23T03:00:00Z")]
    [False, False, True, False]
    """
    return source.endswith((".json", ".json.gz"))


def recorded(name: str, target: str, environment: str, cluster: str, *, instead: str) -> Bundle:
    """A packaged recording, where it shows what was asked for. `instead` is what the page offers for another database.

    Raises
    ------
    InputError
        No such recording, or it shows another database than the one asked for: it would mislead.
    """
    found, wanted = bundles.recording(name), cluster or environments.settings(environment).cluster_identifier
    if target != SANDBOX or found.cluster != wanted:
        raise InputError(
            f"the recording shows {found.cluster} of a sandbox, not {wanted} of {target}, so it would mislead. {instead}"
        )
    return found


def kept(path: str, cluster: str) -> Bundle:
    """A bundle that an earlier run kept. Where a cluster is named it must be that one's.

    Raises
    ------
    InputError
        There is no such file, it holds no bundle, or one of another cluster.
    """
    found = bundles.open_file(Path(path).expanduser())
    if cluster and cluster != found.cluster:
        raise InputError(
            f"{path} holds the load of {found.cluster}, not of {cluster}, so it would mislead. Leave `cluster` empty, or name another file."
        )
    return found


def live(
    target: str,
    region: str,
    environment: str,
    cluster: str,
    *,
    minutes: int,
    as_of: str,
    opener: Opener,
    part: Part | None = None,
) -> Bundle:
    """Ask the API about the `minutes` before `as_of` (a time with a zone; empty: now), of a `part` of the load alone where one is named.

    Raises
    ------
    InputError
        An unknown cluster, a part without load, or a window outside what Performance Insights of every instance keeps.
    """
    if minutes < 1:
        raise InputError(f"minutes={minutes}: a window has at least one minute. Nothing was read.")
    try:
        now, moment = datetime.now(UTC), to_datetime(as_of)
    except ValueError as error:
        raise InputError(f"{as_of!r} ends no window: {error}. One is 2026-11-23T03:00:00Z. Nothing was read.") from None
    if moment and moment > now:
        raise InputError(f"{as_of!r} lies in the future, so there is no load yet. Choose an earlier end, or now.")
    length = timedelta(minutes=minutes)
    _check_kept((moment or now) - length, now, _LONGEST_DAYS, f"any instance ({_LONGEST_DAYS} days at most)")
    session = opener(target, region)  # in the sandbox this may take a minute, and the window ends after it
    found = which_cluster.find(session, cluster, environment)
    # The point of the second that is just passing does not exist yet.
    end = moment or datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=2)
    enabled = [one for one in found.instances if one.performance_insights_enabled]
    days = min((one.insights_days for one in enabled), default=_LONGEST_DAYS)
    _check_kept(end - length, now, days, f"{found.identifier}, {days} days")
    return insights.record(session, found, end - length, end, part=part)


def _check_kept(start: datetime, now: datetime, days: int, whose: str) -> None:
    if start < now - timedelta(days=days):
        raise InputError(
            f"the window from {start:%Y-%m-%d %H:%M} UTC on begins before what Performance Insights keeps of {whose}, so part of it "
            "is gone. Choose a later end or fewer minutes, or open the file that a run of that day kept; a longer retention keeps what is still to come."
        )
