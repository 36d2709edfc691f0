"""How much of both sides is read, how gently, and what is asked of the proof: the same on every page that reads a cluster for a restore."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import wraps
from inspect import Signature, signature
from typing import Any, TypeVar

from aurora_ops.core.errors import InputError
from aurora_ops.database.queries import Query
from aurora_ops.restore.proof import rules as own_rules
from aurora_ops.restore.proof.content import coverage, pace
from aurora_ops.restore.proof.content.pace import HORIZON_SECONDS, LAG_SECONDS, STATEMENT_TIMEOUT
from aurora_ops.restore.proof.content.rows import CONNECTIONS, DEPTHS, EDGE, PAGES, Sample
from aurora_ops.restore.proof.readers import AUTO, WAYS

Prepared = TypeVar("Prepared")
_OF_SOME_PAGES = ("within_seconds", "rules", "range_pages")


class LimitsError(InputError):
    """A parameter about reading cannot be meant; nothing was read."""


@dataclass(frozen=True)
class Limits:
    """How the two sides are read, and what is asked of the proof."""

    sample: Sample = field(default_factory=Sample)
    connections: int = CONNECTIONS
    mib_per_second: float = 0
    statement_timeout: str = pace.STATEMENT_TIMEOUT  # of each statement at the source
    bounds: pace.Bounds = field(default_factory=pace.Bounds)  # of what the source may suffer meanwhile
    at_least_percent: float = coverage.AT_LEAST_PERCENT
    edge: timedelta = EDGE  # how far from the restore point a commit is on neither side of it
    rules: tuple[Query, ...] = field(default_factory=lambda: tuple(own_rules.load()), repr=False)
    read_from: str = AUTO  # where rows of the source are read: auto, reader or writer


def limits_of(
    *,
    depth: str = "full",
    sample_percent: float = 10,
    seed: int = 0,
    proved_percent: float = coverage.AT_LEAST_PERCENT,
    max_read_mib_per_second: float = 0,
    statement_timeout: str = STATEMENT_TIMEOUT,
    max_horizon_seconds: float = HORIZON_SECONDS,
    max_replica_lag_seconds: float = LAG_SECONDS,
    within_seconds: float = 0,
    rules: str = "",
    range_pages: int = PAGES,
    read_from: str = AUTO,
) -> Limits:
    """By the parameters of a page.

    Raises
    ------
    LimitsError
        One of them cannot be meant.
    """
    if depth not in DEPTHS:
        raise LimitsError(f"depth={depth!r} is none of {', '.join(DEPTHS)}, so nothing was read or restored.")
    if read_from not in WAYS:
        raise LimitsError(f"read_from={read_from!r} is none of {', '.join(WAYS)}, so nothing was read or restored.")
    for name, value in {"sample_percent": sample_percent, "proved_percent": proved_percent}.items():
        if not 0 < value <= 100:
            raise LimitsError(f"{name}={value:g} is no share: more than 0, and at most 100.")
    return Limits(
        Sample(depth, sample_percent, seed, range_pages),
        CONNECTIONS,
        max_read_mib_per_second,
        statement_timeout,
        pace.Bounds(max_horizon_seconds, max_replica_lag_seconds),
        proved_percent,
        max(EDGE, timedelta(seconds=within_seconds)),
        tuple(own_rules.load(rules)),
        read_from,
    )


def with_limits(**fixed: Any) -> Callable[[Callable[..., Prepared]], Callable[..., Prepared]]:
    """A page's entry takes the parameters of `limits_of` as well, and gets them as `limits`; those of some pages only where it names them itself.

    >>> @with_limits()
    ... def prepare(access, *, limits, rules=""): ...
    >>> {"depth", "rules"} <= signature(prepare).parameters.keys(), "within_seconds" in signature(prepare).parameters
    (True, False)
    """

    def around(prepare: Callable[..., Prepared]) -> Callable[..., Prepared]:
        own = {name: one for name, one in signature(prepare).parameters.items() if name != "limits"}
        known = {name: one for name, one in signature(limits_of).parameters.items() if name in own or name not in _OF_SOME_PAGES}  # fmt: skip

        @wraps(prepare)
        def prepared(*args: Any, **given: Any) -> Prepared:
            limits = limits_of(**{name: value for name, value in given.items() if name in known}, **fixed)
            rest = {name: value for name, value in given.items() if name in own or name not in known}
            return prepare(*args, limits=limits, **rest)

        prepared.__signature__ = Signature([*own.values(), *(one for name, one in known.items() if name not in own)])  # type: ignore[attr-defined]
        return prepared

    return around
