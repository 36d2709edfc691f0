"""What a request refers to must exist, fit and not be in use: subnet groups, security groups, keys, parameter groups.

moto stores any name, and deletes what is in use.
"""

from contextlib import suppress
from typing import Any

from moto.core import DEFAULT_ACCOUNT_ID
from moto.ec2.exceptions import InvalidSubnetIdError
from moto.ec2.models import ec2_backends
from moto.kms.models import kms_backends
from moto.rds.exceptions import (
    InvalidParameterCombination,
    InvalidParameterValue,
    KMSKeyNotAccessibleFault,
    RDSClientError,
)
from moto.rds.responses import RDSResponse

from aurora_ops.sandbox import hooks

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


def _check_subnets(self: RDSResponse) -> None:
    """Two zones at least, one VPC. moto: any, even none."""
    ec2 = ec2_backends[DEFAULT_ACCOUNT_ID][self.region]
    try:
        subnets = [ec2.get_subnet(one) for one in self.params.get("SubnetIds") or []]
    except InvalidSubnetIdError as error:  # EC2's code, which RDS does not have
        raise RDSClientError("InvalidSubnet", str(error.message)) from None
    if len({one.vpc_id for one in subnets}) > 1:
        raise RDSClientError("InvalidSubnet", "The subnets are not all in one VPC.")
    zones = sorted({one.availability_zone for one in subnets})
    if len(zones) < 2:
        raise RDSClientError(
            "DBSubnetGroupDoesNotCoverEnoughAZs",
            f"The DB subnet group doesn't meet Availability Zone (AZ) coverage requirement. Current AZ coverage: {', '.join(zones)}. "
            "Add subnets to cover at least 2 AZs.",
        )


def _check_new_subnet_group(self: RDSResponse) -> None:
    name = str(self.params["DBSubnetGroupName"]).lower()
    if name == "default":
        raise InvalidParameterValue("A DB subnet group cannot be named default.")
    if name in self.backend.subnet_groups:  # moto: replaces it
        raise RDSClientError("DBSubnetGroupAlreadyExists", f"The DB subnet group '{name}' already exists.")
    _check_subnets(self)


def _check_changed_subnet_group(self: RDSResponse) -> None:
    name = self.params["DBSubnetGroupName"]
    if name not in self.backend.subnet_groups:  # moto: HTTP 500
        raise RDSClientError("DBSubnetGroupNotFoundFault", f"Subnet Group {name} not found.")
    _check_subnets(self)


def _check_unused_subnet_group(self: RDSResponse) -> None:
    name = str(self.params["DBSubnetGroupName"]).lower()
    if name == "default":
        raise InvalidParameterValue("The default DB subnet group cannot be deleted.")
    users = [
        one.db_cluster_identifier
        for one in self.backend.clusters.values()
        if str(getattr(one, "db_subnet_group_name", None)).lower() == name
    ]
    if users:
        raise RDSClientError(
            "InvalidDBSubnetGroupStateFault",
            f"Cannot delete the subnet group '{name}' because at least one database cluster: {users[0]} is still using it.",
        )


def _check_unused_parameters(self: RDSResponse) -> None:
    of_cluster = self.params.get("DBClusterParameterGroupName")
    name = str(of_cluster or self.params["DBParameterGroupName"])
    code = "InvalidDBParameterGroupState"
    if name.startswith("default."):  # moto: not found
        raise RDSClientError(code, f"Default DBParameterGroup cannot be deleted: {name}")
    users = (
        [one.db_cluster_identifier for one in self.backend.clusters.values() if one.parameter_group == name]
        if of_cluster
        else [
            one.db_instance_identifier
            for one in self.backend.databases.values()
            if getattr(one, "db_parameter_group_name", None) == name
        ]
    )
    if users:
        raise RDSClientError(
            code, f"One or more databases are still members of this parameter group {name}: {users[0]}"
        )


def install() -> None:
    """Put the rules before moto's operations, in this process."""
    for operation in ("create_db_cluster", "modify_db_cluster", "restore_db_cluster_to_point_in_time"):
        hooks.before(operation, _check_security_groups)
        hooks.before(operation, _check_keys)
    for operation in ("create_db_instance", "modify_db_instance"):
        hooks.before(operation, _check_keys)
    hooks.before("create_db_subnet_group", _check_new_subnet_group)
    hooks.before("modify_db_subnet_group", _check_changed_subnet_group)
    hooks.before("delete_db_subnet_group", _check_unused_subnet_group)
    hooks.before("delete_db_parameter_group", _check_unused_parameters)
    hooks.before("delete_db_cluster_parameter_group", _check_unused_parameters)
