"""What every study starts from: an environment of ours, or any cluster that exists; its shape, its month, and the region's prices."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

from aurora_ops.billing import price_book
from aurora_ops.billing.bill import Estimate, estimate
from aurora_ops.billing.price_book import PriceBook
from aurora_ops.billing.usage import Usage
from aurora_ops.capacity import platform
from aurora_ops.capacity.demand import Demand
from aurora_ops.capacity.idle import IdleAcu
from aurora_ops.capacity.platform import Platform
from aurora_ops.capacity.rules import Rules
from aurora_ops.capacity.shape import Shape
from aurora_ops.core import environments
from aurora_ops.core.display import Check, Table
from aurora_ops.core.environments import Settings
from aurora_ops.cost import profiles, sources
from aurora_ops.cost.profiles import Profile
from aurora_ops.cost.sources import Load

if TYPE_CHECKING:  # brings boto3, which only a cluster that exists needs
    from aurora_ops.aws.access import Access
    from aurora_ops.cost.readers.existing import Existing

DAYS = 28  # how far back a cluster is read where a page does not ask
UNKNOWN_LOAD = "always-on"  # the profile of a cluster of which nothing else is known: the dearest, so the careful one


@dataclass(frozen=True)
class Subject:
    """What is planned, and by what it is billed. `as_of` dates the prices' age.

    An environment is as its `terraform.tfvars.json` describes it; a cluster (`existing`) is as AWS tells it.
    """

    name: str  # dev, stg, prod, or the cluster's identifier
    settings: Settings | None  # of the environment, where it is one's
    shape: Shape
    book: PriceBook
    as_of: date
    profile: Profile
    existing: "Existing | None" = None
    idle_acu: IdleAcu = ""  # where an idle instance rests, if that is known; empty: as observed

    @property
    def platform(self) -> Platform:
        """The platform version of Serverless v2: the cluster's own, else what a new cluster of the region gets on the day."""
        region = self.book.region
        if self.existing:
            return platform.of_cluster(self.existing.cluster.platform_version, region, self.as_of)
        return platform.of_new_clusters(region, self.as_of)

    @property
    def rules(self) -> Rules:
        """How its capacity follows a demand."""
        return self.platform.rules(self.idle_acu)

    @property
    def usage(self) -> Usage:
        """The month besides compute: the cluster's, else the profile's."""
        usage = self.existing.usage if self.existing else self.profile.usage(self.shape.retention_days)
        return self.shape.billed(usage, self.as_of)

    @property
    def measured(self) -> "Existing | None":
        """The cluster, where its capacity was measured for long enough to speak of a month."""
        return self.existing if self.existing and self.existing.is_measured else None

    @property
    def month(self) -> Estimate | None:
        """The bill of a month that goes on as what was measured; None where too little was."""
        if self.measured is None:
            return None
        return estimate(self.name, self.measured.uses, self.usage, self.book, io_optimized=self.shape.io_optimized)

    def measured_check(self) -> tuple[Check, ...]:
        """Of a cluster that exists: whether the load is its own. An assumed one is not looked at, and not passed."""
        if self.existing is None:
            return ()
        name = "the cluster's capacity was measured"
        if self.measured:
            return (Check(name, "PASS", self.measured.span),)
        return (
            Check(name, "SKIP", f"CloudWatch has less than a week of it; assumed: usage profile {self.profile.name}"),
        )

    def load(
        self, source: str, vcpus: float, vcpu_per_acu: float, timezone: str = "", ceiling_acu: float = 0.0
    ) -> Load:
        """The load called `source`; where it is empty, what the cluster was measured at, or the usage profile.

        Raises
        ------
        UnknownLoadError, HistoryError, DemandError
            See `sources.load`.
        """
        if not source and self.measured:
            writer, *readers = sources.demands(self.measured.histories)
            words = f"{self.measured.span} of measured capacity of {self.name}"
            start = sources.common_start(self.measured.histories).to_pydatetime()
            return Load(self.name, words, writer, measured=True, readers=tuple(readers), start=start)
        return sources.load(
            source or self.profile.name, vcpus, vcpu_per_acu, timezone=timezone, ceiling_acu=ceiling_acu
        )

    def readers(self, load: Load) -> list[tuple[int, Demand | None]]:
        """Tier and demand of each reader: one that scales on its own has its own, or is taken to be as busy as the writer."""
        own = load.readers or (load.demand,) * len(self.shape.reader_tiers)
        return [(tier, demand if tier > 1 else None) for tier, demand in zip(self.shape.reader_tiers, own, strict=True)]

    def quantities(self, note: str = "") -> Table:
        """What the bill is made of, each measured or assumed."""
        if self.existing:
            rows = [
                (one.name, one.shown, one.unit, "measured" if one.measured else "ASSUMED", one.how)
                for one in self.existing.quantities
            ]
            assumed = sum(not one.measured for one in self.existing.quantities)
        else:
            usage, from_file = self.usage, "terraform.tfvars.json"
            why = f"usage profile {self.profile.name}"
            rows = [
                ("ACU range", str(self.shape.acu_range), "of each instance", "stated", from_file),
                ("readers", f"{len(self.shape.reader_tiers)}", "instances", "stated", from_file),
                ("backups are kept", self.shape.retention_days, "days", "stated", from_file),
                ("storage", usage.storage_gib, "GiB", "ASSUMED", why),
                ("billed I/O a month", usage.io_millions, "million", "ASSUMED", why),
                ("automated backups", usage.backup_gib, "GiB", "ASSUMED", why),
                ("exported logs a month", usage.logs_gib, "GiB", "ASSUMED", why),
            ]
            assumed = 4
        if self.book.discounts:
            rows.append(("private discount", self.book.discounts, "", "stated", "discount"))
        return Table(
            f"{assumed} of {len(rows)} quantities of {self.name} are assumed",
            ("quantity", "value", "unit", "", "from"),
            rows,
            note,
        )


@dataclass(frozen=True, eq=False)
class Study:
    """What a page has found out about a subject: the base of the studies that plan."""

    subject: Subject

    @property
    def environment(self) -> str:
        """Its name, or the cluster's."""
        return self.subject.name

    @property
    def shape(self) -> Shape:
        """As it is now."""
        return self.subject.shape

    @property
    def book(self) -> PriceBook:
        """The region's prices."""
        return self.subject.book

    @property
    def as_of(self) -> date:
        """The day on which the prices' age is judged."""
        return self.subject.as_of


def subject(
    environment: str,
    region: str,
    as_of: str,
    *,
    cluster: str = "",
    target: str = "sandbox",
    days: int = DAYS,
    prices: PriceBook | None = None,
    idle_acu: IdleAcu = "",
) -> Subject:
    """The environment in a region, or where `cluster` names one, that cluster; `as_of` empty means today.

    `prices` take the place of the packaged book.

    Raises
    ------
    UnknownEnvironmentError, UnknownPriceError, InputError
        There is no such environment, no prices of that region, or the day is none.
    UnknownClusterError, UnsuitableClusterError, NotServerlessError, MetricsError
        There is no such cluster in `region` of `target`, it is of a kind that has no ACU, or CloudWatch refused.
    """
    book, on = prices or price_book.book(region), price_book.day(as_of)
    if cluster.strip():
        return replace(of_cluster(environment, book, on, cluster, target, days), idle_acu=idle_acu)
    settings = environments.settings(environment)
    profile = profiles.profile(profiles.default(environment))
    return Subject(environment, settings, Shape.of(settings), book, on, profile, idle_acu=idle_acu)


def of_cluster(environment: str, book: PriceBook, on: date, cluster: str, target: str, days: int) -> Subject:
    """The cluster that `cluster` names, or that the environment has, as AWS tells it; `days` is how far back it is read.

    Raises
    ------
    UnknownClusterError, UnsuitableClusterError, ClusterNotFoundError, NotServerlessError, MetricsError
        There is no such cluster in the region of `book`, it is of a kind that has no ACU, or CloudWatch refused.
    """
    from aurora_ops.aws.access import open_access
    from aurora_ops.aws.session import open_session

    return of_access(open_access(open_session(target, book.region), environment, cluster), book, on, days)


def of_access(
    access: "Access", book: PriceBook, on: date, days: int = DAYS, alarms: Sequence[frozenset[str]] | None = None
) -> Subject:
    """The same of a cluster that is resolved already; `alarms` as `existing.read` takes them.

    Raises
    ------
    ClusterNotFoundError, NotServerlessError, MetricsError
        It is gone, it is of a kind that has no ACU, or CloudWatch refused.
    """
    from aurora_ops.cost.readers import existing

    profile = profiles.profile(profiles.default(access.environment) if access.environment else UNKNOWN_LOAD)
    found = existing.read(
        access.session, access.described(), profile, days=days, of_environment=bool(access.environment), alarms=alarms
    )
    return Subject(access.identifier, access.settings, found.shape, book, on, profile, found)
