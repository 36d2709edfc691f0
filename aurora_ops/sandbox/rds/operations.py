"""What is done to clusters that run: failover, reboot, stop, start. In moto these change a record; here they change servers.

A stopped cluster can be started, restored from, and nothing else, as in AWS ("Stopping and starting", limitations).
"""

import copy
import logging
from collections.abc import Callable

import psycopg
from moto.rds.exceptions import (
    InvalidDBClusterStateFault,
    InvalidParameterValue,
    RDSClientError,
)

from aurora_ops.core.errors import AuroraOpsError
from aurora_ops.sandbox.engine import PROVISIONED_CLASSES
from aurora_ops.sandbox.rds.models import AuroraCluster, AuroraInstance, changed, plane
from aurora_ops.sandbox.rds.parameter_groups import ParameterGroups
from aurora_ops.sandbox.rds.records import Records

log = logging.getLogger(__name__)
INCOMPATIBLE = "incompatible-parameters"


class Operations:
    """The operations that act on servers that exist."""

    def __init__(self, records: Records, parameter_groups: ParameterGroups) -> None:
        self._records, self._parameter_groups = records, parameter_groups

    def fail_over(self, identifier: str, target_identifier: str | None = None) -> AuroraCluster:
        """Promote the target, or the reader of the lowest tier; the old writer becomes its reader."""
        cluster = self._records.available_cluster(identifier)
        members = {one.db_instance_identifier: one for one in cluster.members}
        if len(members) < 2:
            raise InvalidDBClusterStateFault(
                f"Database cluster:{cluster.db_cluster_identifier} should have at least two database instances for failover"
            )
        target = members.get(target_identifier or "")
        if target_identifier and target is None:  # moto: an instance of another cluster will do
            raise InvalidParameterValue(f"Cannot find target instance: {target_identifier}")
        if target is not None and target.is_cluster_writer:  # moto: accepts; which error AWS gives is not documented
            raise RDSClientError("InvalidDBInstanceState", f"Instance {target_identifier} is the writer already.")
        self.promote(cluster, target)
        return cluster

    def reboot(self, identifier: str) -> AuroraInstance:
        """Restart the server; parameters that are pending a reboot apply. moto: does nothing.

        One that does not start with what users set is incompatible-parameters, until a reset and another reboot.
        """
        instance = self._records.available_instance(identifier, INCOMPATIBLE)
        try:
            self.change_servers(plane().restart, instance.cluster, instance.db_instance_identifier)
        except InvalidDBClusterStateFault:
            if not self._parameter_groups.groups_of(instance).users:
                raise
            log.exception("%s does not start with its parameter groups", identifier)
            instance.status = INCOMPATIBLE
        else:
            instance.status = "available"
        changed()
        rebooting = copy.copy(instance)
        rebooting.status = "rebooting"
        return rebooting

    def change_class(self, instance: AuroraInstance) -> None:
        """Restart with the memory of the instance's new class. AWS: in the maintenance window, unless ApplyImmediately."""
        data, name = instance.cluster.data, instance.db_instance_identifier
        if data is None:
            return
        data.classes.pop(name, None)
        if instance.db_instance_class in PROVISIONED_CLASSES:
            data.classes[name] = instance.db_instance_class
        self.change_servers(plane().restart, instance.cluster, name)
        changed()

    def stop(self, identifier: str) -> AuroraCluster:
        """Stop every server. The answer says "stopping"; when it is sent, they have stopped."""
        cluster = self._records.available_cluster(identifier)
        self.change_servers(plane().stop_cluster, cluster)
        return self._become(cluster, "stopped", "stopping")

    def start(self, identifier: str) -> AuroraCluster:
        """Start every server of a stopped cluster."""
        cluster = self._records.cluster(identifier)
        if cluster.status != "stopped":
            raise InvalidDBClusterStateFault(
                f"DbCluster {identifier} is in {cluster.status} state but expected stopped."
            )
        self.change_servers(plane().start_cluster, cluster)
        return self._become(cluster, "available", "starting")

    def _become(self, cluster: AuroraCluster, status: str, answer: str) -> AuroraCluster:
        cluster.status = status
        for member in cluster.members:
            member.status = status
        answered = copy.copy(cluster)
        answered.status = answer
        return answered

    def read_groups(self, cluster: AuroraCluster) -> None:
        """What the parameter groups say now applies when servers next start."""
        self._parameter_groups.read(cluster)

    def change_servers(self, change: Callable[..., None], cluster: AuroraCluster, *arguments: str) -> None:
        """Let the data plane change the cluster's servers, with what the parameter groups say now."""
        self.read_groups(cluster)
        try:
            change(cluster.db_cluster_resource_id, *arguments)
        except (AuroraOpsError, psycopg.Error) as error:
            raise InvalidDBClusterStateFault(str(error)) from None

    def promote(self, cluster: AuroraCluster, target: AuroraInstance | None = None) -> None:
        """Make the target the writer, or the reader of the lowest tier."""
        readers = [one for one in cluster.members if not one.is_cluster_writer]
        chosen = target or min(readers, key=lambda one: int(one.promotion_tier))
        self.change_servers(plane().fail_over, cluster, chosen.db_instance_identifier)
        cluster.failover(chosen)
        changed()
