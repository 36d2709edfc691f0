"""Which clusters a fleet has: every account and region asked at the same time, and who refused named with the reason."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from aurora_ops.aws import api, inventory, which_cluster
from aurora_ops.aws.inventory import Listed
from aurora_ops.core.errors import AuroraOpsError, InputError, did_you_mean
from aurora_ops.fleet import reaching
from aurora_ops.fleet.description import Account, Fleet

_AT_ONCE = 16  # accounts and regions that are asked at the same time
_KEYS = ("account", "region", "name", "version", "status", "kind")


@dataclass(frozen=True)
class Member:
    """A cluster of the fleet."""

    account: Account
    region: str
    listed: Listed

    @property
    def key(self) -> str:
        """What names it in the fleet, and in its folder."""
        return f"{self.account.name}.{self.region}.{self.listed.identifier}"

    @property
    def why_not(self) -> str:
        """Why no page can serve it; empty where one can."""
        return which_cluster.why_not(self.listed) or ""


@dataclass(frozen=True)
class Refused:
    """An account, or a region of it, of which nothing is known."""

    account: str
    region: str  # empty: the whole account
    reason: str


@dataclass(frozen=True)
class Found:
    """The members by account, region and name; what refused; how many requests it took, and what the filters left out."""

    members: tuple[Member, ...]
    refused: tuple[Refused, ...]
    asked: int  # accounts × regions
    requests: int
    left_out: int


class NothingKnownError(InputError):
    """No account answered, so nothing is known of the fleet."""


def discover(fleet: Fleet, filters: Sequence[str] = ()) -> Found:
    """Ask every account and region of the fleet.

    Parameters
    ----------
    filters
        Such as "region=eu-*", "name=orders*", "tag:team=payments"; a member meets all of them.

    Raises
    ------
    InputError
        A filter means nothing (nothing was asked), or nobody answered.
    """
    wanted = [_filter(one) for one in filters]
    before = len(api.calls)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        # Each account by one thread first: its credentials are looked up once, and boto3's sessions are not thread-safe.
        opened = list(pool.map(lambda one: _clients(fleet, one), fleet.accounts))
        asked = [(account, region, rds) for account, clients in zip(fleet.accounts, opened, strict=True) if isinstance(clients, dict) for region, rds in clients.items()]  # fmt: skip
        answers = list(pool.map(lambda one: inventory.asked(one[2]), asked))
    refused = [Refused(account.name, "", reason) for account, reason in zip(fleet.accounts, opened, strict=True) if isinstance(reason, str)]  # fmt: skip
    members: dict[str, Member] = {}
    for (account, region, _), answer in zip(asked, answers, strict=True):
        if isinstance(answer, str):
            refused.append(Refused(account.name, region, answer))
            continue
        for one in answer:  # two profiles may lead to one account: its clusters are there once
            members.setdefault(one.arn, Member(account, region, one))
    if not members and len(refused) >= len(fleet.accounts) and not any(not isinstance(one, str) for one in answers):
        raise NothingKnownError(
            f"no account of the fleet could be looked at, so nothing is known of its clusters: {_told(refused)}."
        )
    chosen = [one for one in members.values() if _belongs(fleet, one) and all(meets(one) for meets in wanted)]
    chosen.sort(key=lambda one: (one.account.name, one.region, one.listed.identifier))
    return Found(
        tuple(chosen), tuple(refused), sum(len(fleet.regions_of(one)) for one in fleet.accounts),
        len(api.calls) - before, len(members) - len(chosen),
    )  # fmt: skip


def _clients(fleet: Fleet, account: Account) -> dict[str, Any] | str:
    try:
        regions = fleet.regions_of(account)
        opened = reaching.session(account, regions[0])
        return {region: opened.client("rds", region=region) for region in regions}
    except AuroraOpsError as error:
        return " ".join(str(error).split())


def _told(refused: Iterable[Refused]) -> str:
    return "; ".join(f"{place(one.account, one.region)}: {one.reason.rstrip('.')}" for one in refused)


def place(account: str, region: str) -> str:
    """An account, or a region of it, in words."""
    return f"{account} in {region}" if region else account


def _belongs(fleet: Fleet, one: Member) -> bool:
    name, tags = one.listed.identifier, one.listed.tags
    return all(tags.get(key) == value for key, value in fleet.tags.items()) and not any(
        fnmatchcase(name, pattern) for pattern in fleet.exclude
    )


def _filter(text: str) -> Any:
    key, equals, pattern = text.partition("=")
    if not equals or not (key in _KEYS or key.startswith("tag:")):
        near = did_you_mean(key, [*_KEYS, "tag:NAME"])
        raise InputError(
            f"--filter {text!r} means nothing, so nothing was asked. Write KEY=PATTERN, as name=orders* or tag:team=payments. {near}"
        )
    return lambda one: fnmatchcase(_value(one, key), pattern)


def _value(one: Member, key: str) -> str:
    if key.startswith("tag:"):
        return one.listed.tags.get(key.removeprefix("tag:"), "")
    listed = one.listed
    values = {
        "account": one.account.name, "region": one.region, "name": listed.identifier, "version": listed.engine_version,
        "status": listed.status, "kind": listed.kind,
    }  # fmt: skip
    return values[key]


def parameters(fleet: Fleet, member: Member) -> dict[str, Any]:
    """What the description gives a page for this cluster: the fleet's, the account's, then what is said of its name."""
    found = {**fleet.parameters, **member.account.parameters}
    for pattern, more in fleet.clusters.items():
        if fnmatchcase(member.listed.identifier, pattern):
            found |= more
    return found
