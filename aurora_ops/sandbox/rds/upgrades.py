"""Another engine version for a cluster that runs: which, when, and what changes with it.

Aurora's answers, in words as terraform-provider-aws#13389 and #35912 and terraform-aws-rds-aurora#308 quote them. A minor version changes no
server: `SHOW server_version` says what runs. A major one is a real pg_upgrade where programs of it are there, after a snapshot
"preupgrade-..."; one that PostgreSQL refuses leaves the cluster as it is, and an event and a log say why. Without ApplyImmediately a
version waits for the maintenance window, which never comes here; a later change with ApplyImmediately applies it too.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import psycopg
from moto.rds.exceptions import InvalidParameterCombination, RDSClientError

from aurora_ops.core.engine import ENGINE
from aurora_ops.core.errors import AuroraOpsError
from aurora_ops.sandbox.dataplane.major_upgrade import UpgradeRefusedError
from aurora_ops.sandbox.engine import ENGINE_VERSIONS
from aurora_ops.sandbox.rds import rules
from aurora_ops.sandbox.rds.models import AuroraCluster, plane
from aurora_ops.sandbox.rds.operations import Operations
from aurora_ops.sandbox.rds.parameter_groups import family_of
from aurora_ops.sandbox.rds.records import Records

log = logging.getLogger(__name__)
IN_PROGRESS = ("RDS-EVENT-0177", "Database cluster upgrade is in progress.")
PATCHED = ("RDS-EVENT-0173", "Database cluster engine version has been upgraded.")
UPGRADED = ("RDS-EVENT-0176", "Database cluster engine major version has been upgraded.")
REFUSED = ("RDS-EVENT-0174", "Database cluster is in a state that cannot be upgraded")


class Upgrades:
    """The part of ModifyDBCluster that is about parameter groups and versions. `take_snapshot` is called before a major upgrade."""

    def __init__(
        self, records: Records, operations: Operations, take_snapshot: Callable[[AuroraCluster, str], None]
    ) -> None:
        self._moto, self._operations, self._take_snapshot = records.moto, operations, take_snapshot

    def check(self, cluster: AuroraCluster, kwargs: dict[str, Any]) -> str | None:
        """The version to change to, now or later; None if it stays. The groups of a new major come with it, so `kwargs` loses them."""
        current, wanted = cluster.engine_version, kwargs.get("engine_version")
        target = rules.check_version(wanted) if wanted else current
        if ENGINE_VERSIONS.index(target) < ENGINE_VERSIONS.index(current):  # moto: accepts
            raise InvalidParameterCombination(f"Cannot upgrade {ENGINE} from {current} to {target}")
        is_major = family_of(target) != family_of(current)
        if is_major and not kwargs.get("allow_major_version_upgrade"):  # moto: accepts
            raise InvalidParameterCombination(
                "The AllowMajorVersionUpgrade flag must be present when upgrading to a new major version."
            )
        if kwargs.get("db_instance_parameter_group_name") and not kwargs.get("allow_major_version_upgrade"):
            raise InvalidParameterCombination(
                "DBInstanceParameterGroupName is valid only in combination with the AllowMajorVersionUpgrade parameter."
            )
        mine, members = kwargs.get("db_cluster_parameter_group_name"), cluster.members
        theirs = kwargs.get("db_instance_parameter_group_name")
        names = [one.db_parameter_group_name for one in members]
        custom = [name for name in names if name and not _is_default(name)]
        if is_major and not mine and not _is_default(cluster.parameter_group):
            raise _must_specify("cluster", cluster.parameter_group)
        if is_major and not theirs and custom:
            raise _must_specify("instance", custom[0])
        self._check_group("DBCluster", mine, family_of(target))
        self._check_group("DB", theirs, family_of(target))
        if is_major:
            kwargs["pending_cluster_group"] = kwargs.pop("db_cluster_parameter_group_name", None)
        return target if target != current else None

    def _check_group(self, kind: str, name: str | None, family: str) -> None:
        if not name:
            return
        group: Any = (
            self._moto.db_cluster_parameter_groups if kind == "DBCluster" else self._moto.db_parameter_groups
        ).get(name)
        if not _is_default(name) and group is None:  # moto: accepts
            raise RDSClientError(f"{kind}ParameterGroupNotFound", f"{kind}ParameterGroup not found: {name}")
        own = group and (group.db_parameter_group_family if kind == "DBCluster" else group.family)
        found = name.removeprefix("default.") if _is_default(name) else own
        if found != family:  # moto: any family
            raise InvalidParameterCombination(
                f"The Parameter Group {name} with DBParameterGroupFamily {found} cannot be used for this instance. "
                f"Please use a Parameter Group with DBParameterGroupFamily {family}"
            )

    def apply(self, cluster: AuroraCluster, target: str | None, kwargs: dict[str, Any]) -> None:
        """Record the target as pending, or apply it and what was pending: instances follow, every server restarts once."""
        if target is not None:
            cluster.pending_modified_values = {"EngineVersion": target}
            cluster.pending_instance_group = kwargs.get("db_instance_parameter_group_name")
        if not kwargs.get("apply_immediately") or not cluster.pending_modified_values:
            return
        version = cluster.pending_modified_values["EngineVersion"]
        cluster.pending_modified_values = None
        is_major = family_of(version) != family_of(cluster.engine_version)
        if is_major and cluster.members:
            self._upgrade(cluster, version)
        else:
            self._become(cluster, version)
            if cluster.members:
                self._operations.change_servers(plane().stop_cluster, cluster)
                self._operations.change_servers(plane().start_cluster, cluster)
            cluster.upgrade_events = (UPGRADED if is_major else PATCHED,)
        cluster.pending_cluster_group = cluster.pending_instance_group = None

    def _upgrade(self, cluster: AuroraCluster, version: str) -> None:
        """The major version, or as Aurora does, an event that says why not: the call itself has been accepted."""
        words = (cluster.db_cluster_identifier, cluster.engine_version.replace(".", "-"), version.replace(".", "-"))
        self._take_snapshot(
            cluster, "preupgrade-{}-{}-to-{}-".format(*words) + f"{datetime.now(UTC):%Y-%m-%d-%H-%M-%S}"
        )
        try:
            plane().upgrade(
                cluster.db_cluster_resource_id, int(version.split(".")[0]), lambda: self._become(cluster, version)
            )
        except (AuroraOpsError, psycopg.Error, OSError) as error:
            log.warning("upgrade of %s to %s: %s", cluster.db_cluster_identifier, version, error)
            event, message = REFUSED
            why = f"PreUpgrade checks failed: {error}" if isinstance(error, UpgradeRefusedError) else str(error)
            cluster.upgrade_events = (IN_PROGRESS, (event, f"{message}: {why}"))
        else:
            cluster.upgrade_events = (IN_PROGRESS, UPGRADED)

    def _become(self, cluster: AuroraCluster, version: str) -> None:
        """The version and its groups, which the servers start with."""
        new, instance_group = f"default.{family_of(version)}", cluster.pending_instance_group
        if cluster.pending_cluster_group or _is_default(cluster.parameter_group):
            cluster.parameter_group = cluster.pending_cluster_group or new
        cluster.engine_version = version
        for member in cluster.members:
            if instance_group or _is_default(member.db_parameter_group_name):
                member.db_parameter_group_name = instance_group or new
        self._operations.read_groups(cluster)


def _is_default(name: str | None) -> bool:
    return not name or name.startswith("default.")


def _must_specify(kind: str, name: str) -> InvalidParameterCombination:
    return InvalidParameterCombination(
        f"The current DB {kind} parameter group {name} is custom. You must explicitly specify a new DB {kind} parameter group, "
        "either default or custom, for the engine version upgrade."
    )
