"""What is done to clusters that run: failover, reboot, stop, start. In moto these change a record; here they change servers.

A stopped cluster can be started, restored from, and nothing else, as in AWS ("Stopping and starting", limitations).
"""

import copy
import logging
from collections.abc import Callable
from typing import Any

import psycopg
from moto.rds.exceptions import (
    DBClusterNotFoundError,
    DBInstanceNotFoundError,
    InvalidDBClusterStateFault,
    InvalidParameterValue,
    RDSClientError,
)

from aurora_ops.core.errors import AuroraOpsError
from aurora_ops.sandbox.rds.models import AuroraCluster, AuroraInstance, changed, plane
from aurora_ops.sandbox.rds.parameter_groups import ParameterGroups
from aurora_ops.sandbox.statuses import BROKEN

log = logging.getLogger(__name__)
INCOMPATIBLE = "incompatible-parameters"


class Operations(ParameterGroups):
    """The operations of `StrictRDSBackend` that act on servers that already run."""

    def failover_db_cluster(
        self, db_cluster_identifier: str, target_db_instance_identifier: str | None = None
    ) -> AuroraCluster:
        """Promote the target, or the reader of the lowest tier; the old writer becomes its reader."""
        cluster = self._available(db_cluster_identifier)
        members = {one.db_instance_identifier: one for one in cluster._members}
        if len(members) < 2:
            raise InvalidDBClusterStateFault(
                f"Database cluster:{cluster.db_cluster_identifier} should have at least two database instances for failover"
            )
        target = members.get(target_db_instance_identifier or "")
        if target_db_instance_identifier and target is None:  # moto: an instance of another cluster will do
            raise InvalidParameterValue(f"Cannot find target instance: {target_db_instance_identifier}")
        if target is not None and target.is_cluster_writer:  # moto: accepts; which error AWS gives is not documented
            raise RDSClientError(
                "InvalidDBInstanceState", f"Instance {target_db_instance_identifier} is the writer already."
            )
        self._fail_over(cluster, target)
        return cluster

    def reboot_db_instance(self, db_instance_identifier: str) -> AuroraInstance:
        """Restart the server; what waited for a reboot applies. moto: does nothing.

        One that does not start with what users set is incompatible-parameters, until a reset and another reboot.
        """
        instance = self._available_instance(db_instance_identifier, INCOMPATIBLE)
        try:
            self._change_servers(plane().restart, instance.cluster, instance.db_instance_identifier)
        except InvalidDBClusterStateFault:
            if not self.groups_of(instance).users:
                raise
            log.exception("%s does not start with its parameter groups", db_instance_identifier)
            instance.status = INCOMPATIBLE
        else:
            instance.status = "available"
        changed()
        rebooting = copy.copy(instance)
        rebooting.status = "rebooting"
        return rebooting

    def modify_db_instance(self, db_instance_identifier: str, db_kwargs: dict[str, Any]) -> AuroraInstance:
        """Apply the Insights fields by their API names."""
        self._available_instance(db_instance_identifier, INCOMPATIBLE)
        instance: AuroraInstance = super().modify_db_instance(db_instance_identifier, db_kwargs)  # type: ignore[assignment]
        instance.inherit(instance.cluster, db_kwargs)
        return instance

    def delete_db_instance(self, db_instance_identifier: str, **kwargs: Any) -> AuroraInstance:
        """End the instance's server; that of a broken one, too."""
        instance = self._available_instance(db_instance_identifier, *BROKEN)
        if instance.is_cluster_writer and len(instance.cluster._members) > 1:
            self._fail_over(instance.cluster)  # moto: names a new writer, and no server changes
        deleted: AuroraInstance = super().delete_db_instance(db_instance_identifier, **kwargs)  # type: ignore[assignment]
        plane().remove_instance(instance.cluster.db_cluster_resource_id, db_instance_identifier)
        changed()
        return deleted

    def stop_db_cluster(self, cluster_identifier: str) -> AuroraCluster:
        """Stop every server. The answer says "stopping"; by then it is done."""
        cluster = self._available(cluster_identifier)
        self._change_servers(plane().stop_cluster, cluster)
        return self._become(cluster, "stopped", "stopping")

    def start_db_cluster(self, cluster_identifier: str) -> AuroraCluster:
        """Start every server of a stopped cluster."""
        cluster = self._cluster(cluster_identifier)
        if cluster.status != "stopped":
            raise InvalidDBClusterStateFault(
                f"DbCluster {cluster_identifier} is in {cluster.status} state but expected stopped."
            )
        self._change_servers(plane().start_cluster, cluster)
        return self._become(cluster, "available", "starting")

    def _become(self, cluster: AuroraCluster, status: str, answer: str) -> AuroraCluster:
        cluster.status = status
        for member in cluster._members:
            member.status = status
        answered = copy.copy(cluster)
        answered.status = answer
        return answered

    def _change_servers(self, change: Callable[..., None], cluster: AuroraCluster, *arguments: str) -> None:
        self._read_parameters(cluster)
        try:
            change(cluster.db_cluster_resource_id, *arguments)
        except (AuroraOpsError, psycopg.Error) as error:
            raise InvalidDBClusterStateFault(str(error)) from None

    def _fail_over(self, cluster: AuroraCluster, target: Any = None) -> None:
        readers = [one for one in cluster._members if not one.is_cluster_writer]
        chosen: AuroraInstance = target or min(readers, key=lambda one: int(one.promotion_tier))
        self._change_servers(plane().fail_over, cluster, chosen.db_instance_identifier)
        cluster.failover(chosen)
        changed()

    def _cluster(self, identifier: str) -> AuroraCluster:
        name = identifier.rpartition(":")[2].lower()
        if name not in self.clusters:
            raise DBClusterNotFoundError(name)
        return self.clusters[name]  # type: ignore[return-value]

    def _available(self, identifier: str) -> AuroraCluster:
        cluster = self._cluster(identifier)
        if cluster.status != "available":  # moto: changes and deletes what is stopped
            raise InvalidDBClusterStateFault(
                f"DbCluster {cluster.db_cluster_identifier} is in {cluster.status} state but expected it to be one of available."
            )
        return cluster

    def _available_instance(self, identifier: str, *also: str) -> AuroraInstance:
        instance = self.databases.get(identifier)
        if instance is None:
            raise DBInstanceNotFoundError(identifier)
        if instance.status not in ("available", *also):
            raise RDSClientError(
                "InvalidDBInstanceState", f"Instance {identifier} is {instance.status}, not available."
            )
        return instance  # type: ignore[return-value]
