"""Adding a reader to a cluster, and taking one away that was added so: what it costs, and what Terraform must be told.

A reader helps where what is heavy only reads, and its clients use the reader endpoint. It is made like the writer, so that it can take over
as well. Only what this page has added is ever taken away by it: the instance's tag says so.
"""

from dataclasses import dataclass
from typing import Any

import psycopg
from botocore.exceptions import ClientError

from aurora_ops.aws import api, changes, inventory
from aurora_ops.aws import cluster as clusters
from aurora_ops.aws.access import Access
from aurora_ops.aws.cluster import Cluster
from aurora_ops.aws.copies import making, removing
from aurora_ops.billing import price_book
from aurora_ops.billing.price_book import UnknownPriceError
from aurora_ops.billing.usage import HOURS_PER_MONTH
from aurora_ops.core.display import Check, Line, Report, Table, count, usd
from aurora_ops.core.errors import AuroraOpsError, InputError
from aurora_ops.core.plan import Change, Plan, dry_run_line, is_confirmed

NAME = "add-reader"
TAG = "aurora-ops:added-by"
MOST_READERS = 15


class ReaderError(AuroraOpsError):
    """The reader was not added, or not taken away."""


class ReaderRefusedError(InputError, ReaderError):
    """The cluster cannot have it, or it is not this page's to take away. Nothing was changed."""


@dataclass
class Reader:
    """One reader to add, or (`remove`) to take away. Use it in order: preflight, plan, cost, terraform, apply, verify, undo."""

    access: Access
    promotion_tier: int
    remove: str
    done: str = ""  # the instance that was added or taken away

    def _name(self, found: Cluster) -> str:
        """As the module calls its readers; where the writer is called otherwise, after the cluster."""
        writer = found.writer.identifier
        stem = writer.removesuffix("-writer") if writer.endswith("-writer") else found.identifier
        taken = {one.identifier for one in found.instances}
        return next(name for number in range(1, 99) if (name := f"{stem}-reader-{number}") not in taken)

    def preflight(self) -> Report:
        """Read only. A FAIL makes `apply` refuse."""
        found = self.access.described()
        states = [(found.identifier, found.status), *((one.identifier, one.status) for one in found.instances)]
        busy = [f"{name} is {status}" for name, status in states if status != "available"]
        available = Check.of("cluster and instances are available", not busy, ", ".join(busy))
        return Report("preflight", (available, *(self._of_removal(found) if self.remove else self._of_addition(found))))

    def _of_addition(self, found: Cluster) -> tuple[Check, ...]:
        room = Check.of(
            "it has room for a reader", len(found.readers) < MOST_READERS, f"{len(found.readers)} of {MOST_READERS}"
        )
        return room, self._quota()

    def _quota(self) -> Check:
        name = "the account may have one more instance"
        try:
            used, most = inventory.quotas(self.access.session).get("DBInstances", (0, 0))
        except ClientError as error:
            return Check(name, "SKIP", f"DescribeAccountAttributes was refused ({api.code_of(error)})")
        return (
            Check.of(name, used < most, f"{used} of {most}") if most else Check(name, "SKIP", "no such quota is told")
        )

    def _of_removal(self, found: Cluster) -> tuple[Check, ...]:
        readers = [one.identifier for one in found.readers]
        named = f"readers: {', '.join(readers) or 'none'}"
        tag = api.tags_of(self._raw(self.remove)).get(TAG)
        return (
            Check.of("it is a reader of this cluster", self.remove in readers, named),
            Check.of("this page has added it", tag == NAME, f"its tag {TAG} is {tag or 'not there'}"),
        )

    def plan(self) -> Plan:
        """What will be called. **Nothing is changed.** It stands for the instances of this moment."""
        found = self.access.described()
        instances = [one.identifier for one in found.instances]
        if self.remove:
            change = Change(
                "DeleteDBInstance", self.remove, "reader", "none", "run again without remove", interrupts=True, destroys=True,
                risk="interrupts its clients",
            )  # fmt: skip
            steps = [change] if self.remove in instances else []
            warnings: tuple[str, ...] = ()
        else:
            name = self._name(found)
            steps = [
                Change(
                    "CreateDBInstance",
                    name,
                    "none",
                    f"reader, tier {self.promotion_tier}",
                    f"run again with remove {name}",
                    risk="costs more",
                )
            ]
            warnings = self._warnings(found)
        parameters = self.access.parameters | {"tier": self.promotion_tier, "remove": self.remove}
        observed = {
            "instances": instances,
            "engine": found.engine_version,
            "range": [found.floor_acu, found.ceiling_acu],
        }
        session = self.access.session
        return Plan(NAME, session.account, session.region, parameters, observed, tuple(steps), warnings)

    def _warnings(self, found: Cluster) -> tuple[str, ...]:
        said = [
            "only clients of the reader endpoint use it: what connects to the cluster endpoint stays on the writer."
        ]
        if self.promotion_tier <= 1:
            said.append(
                "in tier 0 or 1 it is kept as large as the writer, and costs as much; in 2 to 15 it follows its own load."
            )
        if found.floor_acu == 0:
            said.append(
                "over a floor of 0 a reader sleeps when no client is connected to it; one in tier 0 or 1 only together with the writer."
            )
        return tuple(said)

    def cost(self) -> Table:
        """USD a month of one reader, at the floor and at the ceiling."""
        found = self.access.described()
        verb = "saves" if self.remove else "costs"
        columns = ("capacity", "ACU", "USD a month")
        if not found.ceiling_acu:
            what = self._raw(found.writer.identifier).get("DBInstanceClass", "its class")
            return Table(
                f"A reader {verb} what another {what} costs",
                columns,
                [(what, None, usd(None))],
                "The price book has ACU only.",
            )
        try:
            price = price_book.book(self.access.session.region).acu_hour(found.io_optimized).usd
        except UnknownPriceError:
            price = None
        levels = (("at its floor", found.floor_acu), ("at its ceiling", found.ceiling_acu))
        rows = [(when, acu, usd(acu * HOURS_PER_MONTH * price if price is not None else None)) for when, acu in levels]
        told = f"A reader {verb} {rows[0][2]} a month at its floor of {found.floor_acu:g} ACU, {rows[1][2]} at the most"
        note = f"{HOURS_PER_MONTH:.0f} hours; storage is the cluster's and is not paid twice. In tier 0 or 1 it has the writer's capacity, so its cost as well."
        return Table(told, columns, rows, note)

    def terraform(self) -> Table:
        """What Terraform must be told, so that it knows the reader."""
        found = self.access.described()
        readers, name = len(found.readers) + (-1 if self.remove else 1), self.remove or self._name(found)
        if self.done:
            readers, name = len(found.readers), self.done
        key = name[name.rfind("reader-") :]
        if self.access.environment:
            folder = f"terraform/environments/{self.access.environment}"
            write = f'"reader_count": {readers} in {folder}/terraform.tfvars.json'
            address = f'module.aurora.aws_rds_cluster_instance.reader["{key}"]'
            then = (
                f"nothing more: it was never in its state; if it is, `terraform state rm '{address}'`"
                if self.remove
                else f"`terraform import '{address}' {name}` in {folder}, before the next apply: it would make one of the same name"
            )
        else:
            write = f"{'one' if readers == 1 else readers or 'no'} reader{'s' * (readers != 1)} in the module that has the cluster"
            then = "nothing more" if self.remove else f"`terraform import` of {name} at its address there"
        return Table(
            "What Terraform must be told",
            ("write", "then"),
            [(write, then)],
            "Until then drift names it as a difference.",
        )

    def apply(self, confirm: str = "") -> Line:
        """Add it or take it away, if the plan as it is now is confirmed and the preflight passes now; wait until it is done."""
        plan, session = self.plan(), self.access.session
        if not plan.changes:
            return Line(f"NOTHING TO CHANGE: {self.access.identifier} has no instance {self.remove}")
        if not is_confirmed(plan, confirm, sandbox=session.is_sandbox):
            return Line(dry_run_line(plan))
        if (checked := self.preflight()).verdict != "PASS":
            raise ReaderRefusedError(f"the preflight fails, so nothing was changed: {checked!r}")
        by = "confirmed by itself in the sandbox" if session.is_sandbox else "confirmed"
        name = plan.changes[0].target
        if self.remove:
            removing.remove_instance(session, name, tag=(TAG, NAME))
            self.done = name
            return Line(f"REMOVED {plan.id} ({by}): {name} of {self.access.identifier}")
        writer = self._raw(self.access.described().writer.identifier)
        like = writer | {"PromotionTier": self.promotion_tier}
        # The writer's own tags, so that costs are told apart as before.
        tags = {key: value for key, value in api.tags_of(writer).items() if not key.startswith("aws:")} | {
            "Name": name,
            TAG: NAME,
        }
        making.add_instance(session, self.access.identifier, name, like=like, tags=tags, serverless=False)
        self.done = name
        seconds = changes.wait_for_instance(session, name)
        took = "under a minute" if seconds < 60 else f"{seconds / 60:.0f} minutes"
        return Line(f"ADDED {plan.id} ({by}): {name} to {self.access.identifier}, available after {took}")

    def _raw(self, name: str) -> dict[str, Any]:
        """An instance of the cluster as DescribeDBInstances has it; empty where it has none of that name."""
        members = clusters.members(self.access.session, self.access.identifier)
        return next((one for one in members if one["DBInstanceIdentifier"] == name), {})

    def verify(self) -> Report:
        """Whether the reader is one, answers, and is in the cluster's reader endpoint; or whether it is gone and the writer still answers."""
        if not self.done:
            return Report(NAME, (Check(NAME, "SKIP", "nothing was applied"),))
        found = self.access.described()
        if self.remove:
            gone = self.done not in [one.identifier for one in found.instances]
            return Report(
                NAME, (Check.of("it is gone", gone), self._answers("the writer answers", "", is_reader=False))
            )
        one = next((each for each in found.instances if each.identifier == self.done), None)
        if one is None:
            return Report(
                NAME, (Check("it is a reader of the cluster", "FAIL", f"{self.done} is none of its instances"),)
            )
        return Report(
            NAME,
            (
                Check.of("it is a reader of the cluster", not one.is_writer and one.status == "available", one.status),
                self._answers("it answers, and only reads", one.endpoint, is_reader=True),
                Check.of("Performance Insights are as on the writer", one.performance_insights_enabled == found.writer.performance_insights_enabled),
            ),
        )  # fmt: skip

    def _answers(self, name: str, endpoint: str, *, is_reader: bool) -> Check:
        try:
            with self.access.connect(endpoint=endpoint) as connection:
                row = connection.execute("SELECT pg_is_in_recovery()").fetchone()
        except (AuroraOpsError, psycopg.Error) as error:
            return Check(name, "SKIP", f"no login from here: {' '.join(str(error).split())[:200]}")
        return Check.of(name, row == (is_reader,), "")

    def instances(self) -> Table:
        """The cluster's instances now."""
        found = self.access.described()
        rows = [
            (one.identifier, "writer" if one.is_writer else "reader", one.status, one.promotion_tier)
            for one in found.instances
        ]
        return Table(f"{count(len(rows), 'instance')}", ("instance", "role", "status", "tier"), rows)

    def undo(self) -> Line:
        """How it is taken back."""
        if not self.done:
            return Line("nothing was applied, so there is nothing to take back")
        if self.remove:
            return Line("To have it back: run again without remove. Its clients connect anew to the reader endpoint")
        return Line(
            f"To take it away: run again with -p remove {self.done}. Its clients are then moved by the reader endpoint to the others, or to the writer"
        )

    def result(self) -> dict[str, object]:
        """The figures worth keeping; none after a dry run."""
        if not self.done:
            return {}
        return {"removed" if self.remove else "added": self.done, "readers": len(self.access.described().readers)}


def add_reader(access: Access, *, promotion_tier: int = 2, remove: str = "") -> Reader:
    """Prepare it.

    Parameters
    ----------
    promotion_tier
        Of failover: 0 or 1 is kept as large as the writer; 2 to 15 follows its own load.
    remove
        A reader that this page added, to take away instead.
    """
    if not 0 <= promotion_tier <= 15:
        raise ReaderRefusedError(
            f"promotion_tier={promotion_tier}: a tier is 0 to 15. Nothing was looked at or changed."
        )
    return Reader(access, promotion_tier, remove.strip())
