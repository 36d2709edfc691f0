"""The clusters, instances and snapshots of one Region, by the types that this sandbox makes them of; moto's backend keeps them."""

from collections.abc import MutableMapping
from typing import Any, cast

from moto.rds.exceptions import (
    DBClusterNotFoundError,
    DBInstanceNotFoundError,
    DBSubnetGroupNotFoundError,
    InvalidDBClusterStateFault,
    RDSClientError,
)
from moto.rds.models import RDSBackend

from aurora_ops.sandbox.rds.models import AuroraCluster, AuroraInstance, AuroraSnapshot


class Records:
    """Typed access to what `moto` keeps, and the look-ups that refuse what is not there or not available."""

    def __init__(self, moto: RDSBackend) -> None:
        self.moto = moto
        # Deleted already, and still described as "deleting"; apart from what exists, so that no server is looked for.
        self.deleting_clusters: dict[str, AuroraCluster] = {}
        self.deleting_instances: dict[str, AuroraInstance] = {}

    @property
    def clusters(self) -> MutableMapping[str, AuroraCluster]:
        """By identifier."""
        return cast(MutableMapping[str, AuroraCluster], self.moto.clusters)

    @property
    def instances(self) -> MutableMapping[str, AuroraInstance]:
        """By identifier."""
        return cast(MutableMapping[str, AuroraInstance], self.moto.databases)

    @property
    def snapshots(self) -> MutableMapping[str, AuroraSnapshot]:
        """Manual ones by identifier."""
        return cast(MutableMapping[str, AuroraSnapshot], self.moto.cluster_snapshots)

    def cluster(self, identifier: str) -> AuroraCluster:
        """The cluster with that identifier or ARN. Raises DBClusterNotFoundError."""
        name = identifier.rpartition(":")[2].lower()
        if name not in self.clusters:
            raise DBClusterNotFoundError(name)
        return self.clusters[name]

    def available_cluster(self, identifier: str) -> AuroraCluster:
        """The same, if its status is "available"."""
        cluster = self.cluster(identifier)
        if cluster.status != "available":  # moto: changes and deletes what is stopped
            raise InvalidDBClusterStateFault(
                f"DbCluster {cluster.db_cluster_identifier} is in {cluster.status} state but expected it to be one of available."
            )
        return cluster

    def available_instance(self, identifier: str, *also: str) -> AuroraInstance:
        """The instance with that identifier, if its status is "available" or one of `also`."""
        instance = self.instances.get(identifier)
        if instance is None:
            raise DBInstanceNotFoundError(identifier)
        if instance.status not in ("available", *also):
            raise RDSClientError(
                "InvalidDBInstanceState", f"Instance {identifier} is {instance.status}, not available."
            )
        return instance

    def check_new_cluster(self, identifier: str) -> None:
        """Refuse an identifier that a cluster has."""
        if identifier in self.clusters:  # moto: replaces the cluster
            raise RDSClientError("DBClusterAlreadyExistsFault", f"DB Cluster already exists: {identifier}")

    def check_groups(self, wanted: dict[str, Any]) -> None:
        """Refuse a subnet group or a cluster parameter group that does not exist."""
        group = wanted.get("db_subnet_group_name")
        if group and group != "default" and group not in self.moto.subnet_groups:  # moto: accepts
            raise DBSubnetGroupNotFoundError(group)
        name = wanted.get("db_cluster_parameter_group_name")
        if name and not name.startswith("default.") and name not in self.moto.db_cluster_parameter_groups:
            raise RDSClientError("DBClusterParameterGroupNotFound", f"DBClusterParameterGroup not found: {name}")
