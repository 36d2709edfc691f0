"""Security groups and keys that a request names must exist and fit. moto stores any name. Subnet and parameter groups: `groups`."""

from contextlib import suppress
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends
from moto.kms.models import kms_backends
from moto.rds.exceptions import (
    InvalidParameterCombination,
    InvalidParameterValue,
    KMSKeyNotAccessibleFault,
)
from moto.rds.responses import RDSResponse

from aurora_ops.sandbox.requests.layers import before

_KEYS = ("KmsKeyId", "PerformanceInsightsKMSKeyId", "MasterUserSecretKmsKeyId")


def _check_keys(self: RDSResponse) -> None:
    for parameter in _KEYS:
        if wanted := self.params.get(parameter):
            _check_key(str(wanted), self.region)


def _check_key(wanted: str, region: str) -> None:
    if "alias/aws/" in wanted:  # AWS's own: every account has it, from its first use on
        return
    keys = kms_backends[DEFAULT_ACCOUNT_ID][region]
    key: Any = None
    with suppress(Exception):  # moto's errors for what is no key are of several kinds
        key = keys.keys.get(keys.any_id_to_key_id(wanted))
    if key is None or key.key_state != "Enabled":
        raise KMSKeyNotAccessibleFault(wanted)


def _check_security_groups(self: RDSResponse) -> None:
    """Existing ones, of the subnet group's VPC. The codes are those that AWS is known to answer; the reference names none."""
    wanted = self.params.get("VpcSecurityGroupIds") or []
    ec2 = ec2_backends[DEFAULT_ACCOUNT_ID][self.region]
    found = []
    for identifier in wanted:
        group = ec2.get_security_group_from_id(identifier)
        if group is None:
            raise InvalidParameterValue(f"Invalid security group , groupId= {identifier}, groupName=.")
        found.append(group)
    vpc = _vpc(self)
    for group in found:
        if vpc and group.vpc_id != vpc:
            raise InvalidParameterCombination(
                f"The DB cluster and EC2 security group are in different VPCs. The DB cluster is in {vpc} and the EC2 security group is in {group.vpc_id}"
            )


def _vpc(self: RDSResponse) -> str | None:
    """The VPC of the subnet group that is named, or of that of the cluster that is changed."""
    name = self.params.get("DBSubnetGroupName")
    if not name:
        cluster = self.backend.clusters.get(str(self.params.get("DBClusterIdentifier")).lower())
        name = getattr(cluster, "db_subnet_group_name", None)
    group = self.backend.subnet_groups.get(name) if name else None
    return group.vpc_id if group is not None else None


_WITH_KEYS = (
    "create_db_cluster",
    "modify_db_cluster",
    "restore_db_cluster_to_point_in_time",
    "create_db_instance",
    "modify_db_instance",
)
_WITH_SECURITY_GROUPS = ("create_db_cluster", "modify_db_cluster", "restore_db_cluster_to_point_in_time")
LAYERS = (
    *(before(operation, _check_keys) for operation in _WITH_KEYS),
    *(before(operation, _check_security_groups) for operation in _WITH_SECURITY_GROUPS),
)
