"""Parameter groups that reach the servers: at once where AWS applies at once, at the next reboot otherwise. In moto they reach nothing.

"When you associate a new DB parameter group, the modified static and dynamic parameters are applied only after a reboot" (Aurora User Guide,
"Associating a DB parameter group"); a dynamic parameter that is changed in an associated group with ApplyMethod immediate applies at once.
"""

from typing import Any

from aurora_ops.core.engine import ENGINE
from aurora_ops.sandbox.parameters.families import DYNAMIC, family
from aurora_ops.sandbox.parameters.in_force import Groups
from aurora_ops.sandbox.rds.models import AuroraCluster, AuroraInstance, plane
from aurora_ops.sandbox.rds.records import Records

TLS_REQUIRED_FROM_MAJOR = 17  # the default of rds.force_ssl is 1 from there on


def family_of(version: str) -> str:
    """The parameter group family of an engine version."""
    return f"{ENGINE}{version.split('.')[0]}"


def _values(group: Any) -> dict[str, str]:
    found = group.parameters if group else {}
    return {name: str(one["ParameterValue"]) for name, one in found.items() if one.get("ParameterValue") is not None}


class ParameterGroups:
    """The parameter groups of one Region, and which of their values the servers have."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._of_clusters, self._of_instances = (
            records.moto.db_cluster_parameter_groups,
            records.moto.db_parameter_groups,
        )

    def groups_of(self, instance: AuroraInstance) -> Groups:
        """What an instance's groups say now."""
        cluster = instance.cluster
        default = f"default.{family_of(cluster.engine_version)}"
        mine = instance.db_parameter_group_name or default
        return Groups(
            family_of(cluster.engine_version),
            cluster.parameter_group,
            mine,
            _values(self._of_clusters.get(cluster.parameter_group)),
            _values(self._of_instances.get(mine)),
        )

    def read(self, cluster: AuroraCluster) -> None:
        """Before servers start: what the groups say then applies, whenever it was set."""
        if cluster.data:
            cluster.data.requires_tls = self._requires_tls(cluster)
            cluster.data.groups = {one.db_instance_identifier: self.groups_of(one) for one in cluster.members}

    def _requires_tls(self, cluster: AuroraCluster) -> bool:
        default = "1" if int(cluster.engine_version.split(".")[0]) >= TLS_REQUIRED_FROM_MAJOR else "0"
        group = self._of_clusters.get(cluster.parameter_group)
        return _values(group).get("rds.force_ssl", default).lower() in ("1", "on", "true")

    def reset(self, name: str, wanted: list[dict[str, Any]] | None, *, of_cluster: bool) -> None:
        """Take parameters out of a group, all without a list: then dynamic ones apply at once, static ones wait."""
        groups: Any = self._of_clusters if of_cluster else self._of_instances
        group = groups[name]
        known = family(group.db_parameter_group_family if of_cluster else group.family, of_cluster=of_cluster)
        if wanted is None:
            now = {one for one in group.parameters if known[one].apply_type == DYNAMIC}
            group.parameters.clear()
        else:
            now = immediate(wanted)
            for one in wanted:
                group.parameters.pop(one["ParameterName"], None)
        self.apply(group.name, now, of_cluster=of_cluster)

    def apply(self, group: str, names: set[str], *, of_cluster: bool) -> None:
        """Let parameters of a group reach the servers of every cluster that uses it, without a reboot."""
        if not names:
            return
        for cluster in [one for one in list(self._records.clusters.values()) if one.data]:
            users = [
                member
                for member in cluster.members
                if group == (cluster.parameter_group if of_cluster else member.db_parameter_group_name)
            ]
            wanted = {one.db_instance_identifier: self.groups_of(one) for one in users}
            plane().reload(cluster.db_cluster_resource_id, wanted, names)
            if of_cluster and cluster.parameter_group == group and "rds.force_ssl" in names:
                plane().require_tls(cluster.db_cluster_resource_id, self._requires_tls(cluster))


def immediate(parameters: Any) -> set[str]:
    """The names of those that are to apply at once."""
    return {one["ParameterName"] for one in parameters if one.get("ApplyMethod") == "immediate"}
