"""What is done to running clusters: failover. In moto these change a record; here they change servers."""

from typing import Any

import moto.rds.models as models
import psycopg
from moto.rds.exceptions import (
    DBClusterNotFoundError,
    InvalidDBClusterStateFault,
    InvalidParameterValue,
    RDSClientError,
)

from aurora_ops.errors import AuroraOpsError
from aurora_ops.sandbox.rds_models import AuroraCluster, AuroraInstance, changed, plane


class Operations(models.RDSBackend):
    """The operations of `StrictRDSBackend` that act on servers that already run."""

    def failover_db_cluster(
        self, db_cluster_identifier: str, target_db_instance_identifier: str | None = None
    ) -> AuroraCluster:
        """Promote the target, or the reader of the lowest tier; the old writer becomes its reader."""
        cluster = self._cluster(db_cluster_identifier)
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

    def _fail_over(self, cluster: AuroraCluster, target: Any = None) -> None:
        readers = [one for one in cluster._members if not one.is_cluster_writer]
        chosen: AuroraInstance = target or min(readers, key=lambda one: int(one.promotion_tier))
        try:
            plane().fail_over(cluster.db_cluster_resource_id, chosen.db_instance_identifier)
        except (AuroraOpsError, psycopg.Error) as error:
            raise InvalidDBClusterStateFault(str(error)) from None
        cluster.failover(chosen)
        changed()

    def _cluster(self, identifier: str) -> AuroraCluster:
        name = identifier.rpartition(":")[2].lower()
        if name not in self.clusters:
            raise DBClusterNotFoundError(name)
        return self.clusters[name]  # type: ignore[return-value]
