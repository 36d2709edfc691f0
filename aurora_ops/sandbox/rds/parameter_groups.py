"""Parameter groups that reach the servers: at once where AWS applies at once, at the next reboot otherwise. In moto they reach nothing.

"When you associate a new DB parameter group, the modified static and dynamic parameters are applied only after a reboot" (Aurora User Guide,
"Associating a DB parameter group"); a dynamic parameter that is changed in an associated group with ApplyMethod immediate applies at once.
"""

from typing import Any

import moto.rds.models as models

from aurora_ops.core.engine import ENGINE
from aurora_ops.sandbox.parameters.families import DYNAMIC, family
from aurora_ops.sandbox.parameters.in_force import Groups
from aurora_ops.sandbox.rds.models import AuroraCluster, AuroraInstance, plane

TLS_REQUIRED_FROM_MAJOR = 17  # the default of rds.force_ssl is 1 from there on


def family_of(version: str) -> str:
    """The parameter group family of an engine version."""
    return f"{ENGINE}{version.split('.')[0]}"


def _values(group: Any) -> dict[str, str]:
    found = group.parameters if group else {}
    return {name: str(one["ParameterValue"]) for name, one in found.items() if one.get("ParameterValue") is not None}


class ParameterGroups(models.RDSBackend):
    """What the strict backend does with parameter groups."""

    def groups_of(self, instance: AuroraInstance) -> Groups:
        """What an instance's groups say now."""
        cluster = instance.cluster
        default = f"default.{family_of(cluster.engine_version)}"
        mine = instance.db_parameter_group_name or default
        return Groups(
            family_of(cluster.engine_version),
            cluster.parameter_group,
            mine,
            _values(self.db_cluster_parameter_groups.get(cluster.parameter_group)),
            _values(self.db_parameter_groups.get(mine)),
        )

    def _read_parameters(self, cluster: AuroraCluster) -> None:
        """Before servers start: what the groups say then applies, whenever it was set."""
        if cluster.data:
            cluster.data.requires_tls = self._requires_tls(cluster)
            cluster.data.groups = {one.db_instance_identifier: self.groups_of(one) for one in cluster._members}

    def _requires_tls(self, cluster: AuroraCluster) -> bool:
        default = "1" if int(cluster.engine_version.split(".")[0]) >= TLS_REQUIRED_FROM_MAJOR else "0"
        group = self.db_cluster_parameter_groups.get(cluster.parameter_group)
        return _values(group).get("rds.force_ssl", default).lower() in ("1", "on", "true")

    def modify_db_cluster_parameter_group(
        self, db_cluster_parameter_group_name: str, db_cluster_parameter_group_parameters: Any
    ) -> Any:
        """Set parameters; immediate ones reach the servers of every cluster that uses the group."""
        group = super().modify_db_cluster_parameter_group(
            db_cluster_parameter_group_name, db_cluster_parameter_group_parameters
        )
        self._apply(group.name, _immediate(db_cluster_parameter_group_parameters), of_cluster=True)
        return group

    def modify_db_parameter_group(self, db_parameter_group_name: str, db_parameter_group_parameters: Any) -> Any:
        """Mark what a user set as a user's; moto leaves the source out, so Terraform does not find its own values."""
        parameters = [{**one, "Source": "user"} for one in db_parameter_group_parameters]
        group = super().modify_db_parameter_group(db_parameter_group_name, parameters)
        self._apply(group.name, _immediate(parameters), of_cluster=False)
        return group

    def reset_parameters(self, name: str, wanted: list[dict[str, Any]] | None, *, of_cluster: bool) -> None:
        """Take parameters out of a group, all without a list: then dynamic ones apply at once, static ones wait."""
        groups: Any = self.db_cluster_parameter_groups if of_cluster else self.db_parameter_groups
        group = groups[name]
        known = family(group.db_parameter_group_family if of_cluster else group.family, of_cluster=of_cluster)
        if wanted is None:
            now = {one for one in group.parameters if known[one].apply_type == DYNAMIC}
            group.parameters.clear()
        else:
            now = _immediate(wanted)
            for one in wanted:
                group.parameters.pop(one["ParameterName"], None)
        self._apply(group.name, now, of_cluster=of_cluster)

    def _apply(self, group: str, names: set[str], *, of_cluster: bool) -> None:
        if not names:
            return
        for cluster in [one for one in self.clusters.values() if isinstance(one, AuroraCluster) and one.data]:
            users = [
                member
                for member in cluster._members
                if group == (cluster.parameter_group if of_cluster else member.db_parameter_group_name)
            ]
            wanted = {one.db_instance_identifier: self.groups_of(one) for one in users}  # type: ignore[arg-type]
            plane().reload(cluster.db_cluster_resource_id, wanted, names)
            if of_cluster and cluster.parameter_group == group and "rds.force_ssl" in names:
                plane().require_tls(cluster.db_cluster_resource_id, self._requires_tls(cluster))


def _immediate(parameters: Any) -> set[str]:
    return {one["ParameterName"] for one in parameters if one.get("ApplyMethod") == "immediate"}
