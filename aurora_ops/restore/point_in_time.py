"""A restore for the real day: a new cluster beside the old one, with all of its configuration, that stays.

Nothing of the source is changed and nothing is cleaned up: what came back is for somebody to look at, and to switch over to. Begun
again after an interruption with the same time and name, it goes on with what is there.
"""

import re
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from aurora_ops.aws import cluster as clusters
from aurora_ops.aws.access import Access
from aurora_ops.aws.cluster import Cluster, ClusterNotFoundError
from aurora_ops.aws.copies import making
from aurora_ops.aws.session import Session
from aurora_ops.capacity.acu import AcuRange
from aurora_ops.core.display import Check, Line, Pictured, Report, Table
from aurora_ops.core.errors import InputError
from aurora_ops.core.journal import Journal
from aurora_ops.core.plan import Change, Plan, dry_run_line, is_confirmed
from aurora_ops.database import databases
from aurora_ops.restore import prerequisites, reattach, restore_time
from aurora_ops.restore.proof import parity
from aurora_ops.restore.restore_time import Asked
from aurora_ops.restore.timing import draw_phases

NAME = "restore-to-point-in-time"
FROM, AS_OF = "restored-from", "restored-as-of"  # tags: whose data of when this is
WAIT_MINUTES = 240.0
_LONGEST_NAME = 63
_IDENTIFIER = re.compile(r"[a-z](?:-?[a-z0-9])*")
_SUFFIX = "-cluster"


class RestoreRefusedError(InputError):
    """The restore was refused before anything was created."""


@dataclass
class Restoration:
    """One restore of one cluster. Use it in order: preflight, plan, apply, verify; then read what is to be re-attached."""

    access: Access  # to the source
    asked: Asked
    wanted_name: str  # of the new cluster; empty: after the source and the restore point
    wait_minutes: float
    source: Cluster = field(init=False)
    restore_point: datetime = field(init=False)
    asked_how: str = field(init=False)
    seconds: dict[str, float] = field(default_factory=dict)
    applied: bool = False

    def __post_init__(self) -> None:
        self.restore_point, self.asked_how = restore_time.in_window(self.asked, self.access)
        self.source = self.access.described()

    @property
    def session(self) -> Session:
        """Where the source is."""
        return self.access.session

    @property
    def identifier(self) -> str:
        """Of the new cluster."""
        if self.wanted_name:
            return self.wanted_name
        base = self.source.identifier.removesuffix(_SUFFIX)
        suffix = _SUFFIX if self.source.identifier.endswith(_SUFFIX) else ""
        return f"{base}-at-{self.restore_point:%Y%m%dt%H%M%S}{suffix}"

    @property
    def instances(self) -> dict[str, str]:
        """The new instance for each of the source's, the writer's first."""
        old, new = self.source.identifier.removesuffix(_SUFFIX), self.identifier.removesuffix(_SUFFIX)
        ordered = sorted(self.source.instances, key=lambda one: not one.is_writer)
        return {
            one.identifier: new + one.identifier.removeprefix(old)
            if one.identifier.startswith(f"{old}-")
            else f"{new}-{number}"
            for number, one in enumerate(ordered, 1)
        }

    @property
    def tags(self) -> dict[str, str]:
        """What says whose data of when this is; with it a second run knows its own."""
        return {FROM: self.source.identifier, AS_OF: f"{self.restore_point:%FT%TZ}"}

    @property
    def scaling(self) -> AcuRange | None:
        """The source's. A provisioned source has none, and its copy neither."""
        source = self.source
        return AcuRange(source.floor_acu, source.ceiling_acu) if source.ceiling_acu else None

    def preflight(self) -> Report:
        """Read only. A FAIL makes `apply` refuse. The source need not be available: it may be what went wrong.

        Raises
        ------
        UnknownDatabaseError
            The source answers, and has no such database: the restored cluster would have none either.
        """
        if self.access.database:
            with suppress(*making.UNREACHABLE):
                self.access.connect().close()
        source, names = self.source, [self.identifier, *self.instances.values()]
        earliest, latest = source.earliest_restorable_utc, source.latest_restorable_utc
        inside = bool(earliest and latest and earliest <= self.restore_point <= latest)
        window = f"{earliest:%F %T}Z to {latest:%F %T}Z" if earliest and latest else "nothing that can be restored"
        bad = [one for one in names if len(one) > _LONGEST_NAME or not _IDENTIFIER.fullmatch(one)]
        told = f"{', '.join(bad)}: a letter, then letters, digits and single hyphens, at most {_LONGEST_NAME}. Name another"
        checks = [
            Check.of("the time can be restored", inside, self.asked_how + ("" if inside else f" is not in {window}")),
            Check.of("names are valid", not bad, told if bad else ", ".join(names)),
            self._check_name(),
            Check.of("there is an instance to make more like", bool(source.instances), f"{len(source.instances)} at the source"),
            *prerequisites.check(self.session, source, instances=max(1, len(self.instances))),
        ]  # fmt: skip
        return Report("preflight", tuple(checks))

    def _check_name(self) -> Check:
        name, there = "the name is free", self._there()
        if there is None:
            return Check(name, "PASS", self.identifier)
        if self._is_ours(there):
            return Check(name, "PASS", f"{self.identifier} was begun by an earlier run, which this one continues")
        return Check(name, "FAIL", f"{self.identifier} is another cluster. Name one that is free: name")

    def _there(self) -> Cluster | None:
        try:
            return clusters.find(self.session, self.identifier)
        except ClusterNotFoundError:
            return None

    def _is_ours(self, there: Cluster) -> bool:
        found = {(tag["Key"], tag["Value"]) for tag in there.raw.get("TagList", [])}
        return self.tags.items() <= found

    def plan(self) -> Plan:
        """What will be made. Nothing that exists is changed; the new cluster stays, and costs money from then on."""
        source, undo = self.source, "DeleteDBInstance, DeleteDBCluster"
        as_of = f"full copy as of {self.restore_point:%F %T}Z, {self.scaling or 'instances of fixed size'}"
        steps = [Change("RestoreDBClusterToPointInTime", self.identifier, f"of {source.identifier}", as_of, undo)]
        for old, new in self.instances.items():
            steps.append(Change("CreateDBInstance", new, "", f"like {old}", "DeleteDBInstance"))
        windows = f"backups {source.raw.get('PreferredBackupWindow')}, maintenance {source.raw.get('PreferredMaintenanceWindow')}"
        steps.append(Change("ModifyDBCluster", self.identifier, "AWS's defaults", windows))
        parameters = {**self.access.parameters, "restore_to": f"{self.restore_point:%FT%TZ}", "name": self.identifier}
        observed = {
            "version": source.engine_version,
            "range": str(self.scaling or "none"),
            "instances": sorted(self.instances),
        }
        return Plan(NAME, self.session.account, self.session.region, parameters, observed, tuple(steps))

    def apply(self, confirm: str = "") -> Line:
        """Restore, if the plan as it is now is confirmed and the preflight passes now."""
        plan = self.plan()
        if not is_confirmed(plan, confirm, sandbox=self.session.is_sandbox):
            return Line(f"{dry_run_line(plan)} -p restore_to {self.restore_point:%FT%TZ}")
        if (checked := self.preflight()).verdict == "FAIL":
            raise RestoreRefusedError(f"the preflight fails, so nothing was created: {checked!r}")
        limit, session = 60 * self.wait_minutes, self.session
        Journal.of_run(session.state_directory, NAME).write("restore", identifier=self.identifier, source=self.source.identifier, to=self.restore_point)  # fmt: skip
        self._timed("cluster", partial(self._restore, limit))
        self._timed("instances", partial(self._add_instances, limit))
        making.finish(session, self.source, self.identifier)
        making.wait_for_cluster(session, self.identifier, limit)
        self.applied = True
        by = "confirmed by itself in the sandbox" if session.is_sandbox else "confirmed"
        return Line(
            f"RESTORED {plan.id} ({by}): {self.identifier} holds {self.source.identifier} as of {self.restore_point:%F %T}Z"
        )

    def _restore(self, limit: float) -> None:
        if self._there() is None:
            making.restore_to_time(
                self.session, self.source, self.identifier, self.restore_point, scaling=self.scaling, tags=self.tags,
                protected=bool(self.source.raw.get("DeletionProtection")),
            )  # fmt: skip
        making.wait_for_cluster(self.session, self.identifier, limit)

    def _add_instances(self, limit: float) -> None:
        """The writer's like first: the first instance of a cluster becomes its writer. The others come up beside each other."""
        there = {one.identifier for one in clusters.find(self.session, self.identifier).instances}
        for number, (old, new) in enumerate(self.instances.items()):
            if new not in there:
                making.add_instance(
                    self.session, self.identifier, new, like=self._described(old), tags=self.tags, serverless=False
                )
            if number == 0:
                making.wait_for_instance(self.session, new, limit)
        for new in self.instances.values():
            making.wait_for_instance(self.session, new, limit)

    def _described(self, instance: str) -> dict[str, Any]:
        return dict(self.session.client("rds").describe_db_instances(DBInstanceIdentifier=instance)["DBInstances"][0])

    def _timed(self, phase: str, step: partial[None]) -> None:
        started = time.monotonic()
        step()
        self.seconds[phase] = time.monotonic() - started

    def verify(self) -> Report:
        """Whether the new cluster stands, is configured like its source, lets in and takes writes. Rows are not compared here."""
        if not self.applied:
            return Report(NAME, (Check("the cluster is restored", "SKIP", "a dry run: nothing was created"),))
        restored, checks = clusters.find(self.session, self.identifier), []
        waiting = [one.identifier for one in restored.instances if one.status != "available"]
        waiting += [] if restored.status == "available" else [restored.identifier]
        checks.append(Check.of("cluster and instances are available", not waiting, ", ".join(waiting)))
        made = {one.identifier for one in restored.instances}
        checks.append(
            Check.of(
                "every instance has its like",
                made == set(self.instances.values()),
                f"{len(made)} of {len(self.instances)}",
            )
        )
        checks.append(parity.carried_over("configuration of the cluster", self.source.raw, restored.raw))
        checks += [
            parity.carried_over(
                f"configuration of {old}'s like", self._described(old), self._described(new), is_instance=True
            )
            for old, new in self.instances.items()
        ]
        checks += self._let_in(restored)
        checks.append(
            Check(
                "rows",
                "SKIP",
                "not compared here: verify-restored-cluster compares them with the source's, row by row, before you switch over",
            )
        )
        return Report(NAME, tuple(checks))

    def _let_in(self, restored: Cluster) -> list[Check]:
        """The copy has the password of its second. Where that is another, it is not reset: whoever switches over decides."""
        name = "it lets in by the source's login"
        try:
            with self.access.connect(cluster=restored, read_only=False) as connection:
                connection.execute("CREATE TEMPORARY TABLE writable (n integer)")
                there = databases.names(connection)
        except making.UNREACHABLE as error:
            by_hand = f"aws rds modify-db-cluster --region {self.session.region} --db-cluster-identifier {restored.identifier} --manage-master-user-password --apply-immediately"
            return [
                Check(
                    name,
                    "FAIL",
                    f"{error} Where the password was changed since {self.restore_point:%F %T}Z, give it a new one: {by_hand}",
                )
            ]
        return [
            Check(name, "PASS", f"it has {len(there)} databases: {', '.join(there)}"),
            Check("it takes writes", "PASS", "a temporary table"),
        ]

    def timings(self) -> Pictured:
        """Seconds per phase."""
        where = self.session.timed_where
        rows = [(phase, round(value, 1)) for phase, value in self.seconds.items()]
        draw = partial(draw_phases, self.seconds, where)
        return Pictured(f"{sum(self.seconds.values()):.0f} s in all, {where}", ("phase", "seconds"), rows, draw=draw)

    @property
    def _renaming(self) -> reattach.Renaming:
        return reattach.Renaming(self.session, self.source, self.identifier, self.instances)

    def to_reattach(self) -> Table:
        """What hangs on the source and does not come along, with the command for each. Nothing of it is done here."""
        return reattach.table(self._renaming)

    def as_terraform(self) -> reattach.Terraform:
        """How Terraform takes the new cluster over."""
        return reattach.terraform(self._renaming)

    def undo(self) -> Line:
        """The commands that take it away again, for a human: it may hold the only good data there is."""
        instances = [
            f"aws rds delete-db-instance --region {self.session.region} --db-instance-identifier {name} --skip-final-snapshot"
            for name in self.instances.values()
        ]
        whole = f"aws rds delete-db-cluster --region {self.session.region} --db-cluster-identifier {self.identifier} --final-db-snapshot-identifier {self.identifier}-last"
        return Line("nothing is undone here. To delete the new cluster: " + "; ".join([*instances, whole]))

    def result(self) -> dict[str, object]:
        """The numbers worth keeping."""
        return {
            "restored": self.identifier,
            "restore_point": self.restore_point,
            "phases_seconds": {k: round(v, 2) for k, v in self.seconds.items()},
        }


def restore(
    access: Access, *, restore_to: str, seed: int = 0, name: str = "", wait_minutes: float = WAIT_MINUTES
) -> Restoration:
    """Prepare a restore of `access`'s cluster to a second, or to the latest, the oldest or a random one that can be restored.

    Raises
    ------
    RestoreRefusedError
        No time is named: on the real day a default would be a guess.
    """
    asked = Asked(restore_to, seed)
    if asked.is_own:
        raise RestoreRefusedError(
            "restore_to is empty, so nothing was changed: on the real day a default would be a guess. Name a second, such as "
            "2025-12-12T12:00:00Z, or latest."
        )
    if asked.is_clone:
        raise RestoreRefusedError(
            "restore_to=clone is a rehearsal of restore-drill: a clone is of now, and comes from no backup. Nothing was changed. Name a second, such as "
            "2025-12-12T12:00:00Z, or latest."
        )
    return Restoration(access, asked, name.strip().lower(), wait_minutes)
