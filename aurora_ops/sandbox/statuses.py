"""Transitional statuses: how long a resource shows "creating" or "modifying", and which ones last until they are released.

moto alone: everything is "available" as soon as the call returns, so no waiter ever waits and no runbook meets a refusal meanwhile.
No thread runs for this: a resource stores until when its status lasts, and each look compares that with the clock. The work
itself (a server that starts, a recovery) is not slowed down; a status may last longer than the work, never shorter.

Words are those of "Viewing DB cluster status" and "Viewing DB instance status" of the Aurora User Guide. AWS publishes no durations.
"""

import difflib
import math
import time
from dataclasses import dataclass

from aurora_ops.core.errors import InputError

VARIABLE = "AURORA_OPS_SANDBOX_SECONDS"
ALL = "all"
CLUSTER_WORDS = (
    "available", "backing-up", "backtracking", "cloning-failed", "creating", "deleting", "failing-over",
    "inaccessible-encryption-credentials", "inaccessible-encryption-credentials-recoverable", "incompatible-restore", "maintenance",
    "migrating", "migration-failed", "modifying", "preparing-data-migration", "promoting", "renaming", "resetting-master-credentials",
    "starting", "stopped", "stopping", "storage-optimization", "update-iam-db-auth", "upgrading",
)  # fmt: skip
INSTANCE_WORDS = (
    "available", "backing-up", "configuring-enhanced-monitoring", "configuring-iam-database-auth", "configuring-log-exports",
    "converting-to-vpc", "creating", "delete-precheck", "deleting", "failed", "inaccessible-encryption-credentials",
    "inaccessible-encryption-credentials-recoverable", "incompatible-network", "incompatible-option-group",
    "incompatible-parameters", "incompatible-restore", "insufficient-capacity", "maintenance", "modifying", "moving-to-vpc",
    "rebooting", "renaming", "resetting-master-credentials", "restore-error", "starting", "stopped", "stopping",
    "storage-config-upgrade", "storage-full", "storage-initialization", "storage-optimization", "upgrading",
)  # fmt: skip
# A resource in one of these can only be deleted, or repaired from outside; none of them ends by itself.
BROKEN = (
    "cloning-failed", "failed", "inaccessible-encryption-credentials", "inaccessible-encryption-credentials-recoverable",
    "incompatible-network", "incompatible-option-group", "incompatible-parameters", "incompatible-restore",
    "insufficient-capacity", "migration-failed", "restore-error", "storage-full",
)  # fmt: skip


@dataclass(frozen=True)
class Transition:
    """A status that lasts until a time of the clock (epoch seconds; infinity: until it is released)."""

    status: str
    until: float
    since: float = 0.0

    @property
    def is_on(self) -> bool:
        """Whether it still lasts."""
        return time.time() < self.until


class WithStatus:
    """What a DB cluster and a DB instance have in common: a status of their own, one that they pass through, one that a fault sets.

    moto: a cluster's "creating" ends with the first look at it.
    """

    _status = ""
    transition: Transition | None = None
    forced_status = ""

    @property
    def status(self) -> str:
        """What DescribeDB… shows: the forced status, else the one it passes through, else what the work has come to."""
        return self.forced_status or self.transitional_status or self._status

    @status.setter
    def status(self, value: str) -> None:
        self._status = value

    @property
    def transitional_status(self) -> str:
        """The status that it passes through; empty when it has arrived."""
        return self.transition.status if self.transition is not None and self.transition.is_on else ""


def check_word(status: str) -> str:
    """A documented status. Raises InputError for another, with the nearest."""
    known = sorted({*CLUSTER_WORDS, *INSTANCE_WORDS})
    if status not in known:
        near = difflib.get_close_matches(status, known, 1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise InputError(f"status={status!r}: no DB cluster or DB instance ever has this status.{hint}")
    return status


def is_number(value: object) -> bool:
    """Whether it is a number, as which Python counts truth values too."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def check_seconds(seconds: dict[str, float]) -> dict[str, float]:
    """Seconds by status; `all` stands for every status that is not named. Raises InputError."""
    for status, value in seconds.items():
        if status != ALL:
            check_word(status)
        if not is_number(value) or not 0 <= value < math.inf:
            raise InputError(f"{status}={value!r}: a status lasts a number of seconds, 0 or more.")
    return {status: float(value) for status, value in seconds.items()}


def parse(text: str) -> dict[str, float]:
    """Seconds by status from the variable's text: "creating=5,modifying=3", or one number for every status."""
    found: dict[str, float] = {}
    for part in filter(None, (one.strip() for one in text.split(","))):
        status, equals, value = part.partition("=")
        try:
            found[status.strip() if equals else ALL] = float(value if equals else status)
        except ValueError:
            raise InputError(
                f"{VARIABLE}={text!r}: {part!r} is not understood. Write creating=5,modifying=3 or one number of seconds for all."
            ) from None
    return check_seconds(found)
