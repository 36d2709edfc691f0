"""Deletes the log events that CloudWatch Logs would delete, so that the account's file, which holds them, stops growing.

A log group's events are deleted when they are older than its retention, and never without one (PutRetentionPolicy in the CloudWatch
Logs API Reference: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html). AWS deletes
"typically up to 72 hours" later, here it is a minute. Different from AWS, a group keeps at most `MAX_EVENTS`, the newest ones. moto
stores the retention and deletes nothing.
"""

from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.logs.models import LogGroup, logs_backends

MAX_EVENTS = 10_000  # of a log group: some 2 MB of the account's file
_DAY_MILLISECONDS = 86_400_000


def prune(now: float) -> None:
    """Delete the expired events of every log group. `now`: epoch seconds."""
    for backend in list(logs_backends[DEFAULT_ACCOUNT_ID].values()):
        for group in list(backend.groups.values()):
            prune_group(group, now)


def prune_group(group: LogGroup, now: float) -> None:
    """Delete the events that are older than the group's retention, and the oldest of those beyond `MAX_EVENTS`."""
    found = [(one.timestamp, stream, one) for stream in list(group.streams.values()) for one in list(stream.events)]
    before = 0.0
    if group.retention_in_days:
        before = now * 1000 - int(group.retention_in_days) * _DAY_MILLISECONDS
    found.sort(key=lambda one: one[0])
    excess = len(found) - MAX_EVENTS
    for number, (timestamp, stream, event) in enumerate(found):
        if number >= excess and timestamp >= before:
            break
        _delete(stream, event)


def _delete(stream: Any, event: Any) -> None:
    # One by one: a request may append events at the same time. The oldest are at the begin, where they are found at once.
    stream.events.remove(event)
    stream.stored_bytes -= len(event.message)
