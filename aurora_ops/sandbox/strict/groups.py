"""Creation and deletion of subnet and parameter groups: two zones at least, no name twice, no default group, none that is in use.

moto creates a subnet group of anything over whatever had its name, and deletes groups that are in use. Codes are the documented ones
of the operations; that a default group is refused is in "Working with parameter groups", with which code only in users' reports.
"""

from collections.abc import Iterable
from typing import Any

from moto.ec2.exceptions import InvalidSubnetIdError
from moto.ec2.models import ec2_backends
from moto.rds.exceptions import InvalidParameterValue, RDSClientError
from moto.rds.responses import RDSResponse

from aurora_ops.sandbox.requests.layers import before

FEWEST_ZONES = 2


def _check_subnets(self: RDSResponse) -> None:
    ec2 = ec2_backends[self.current_account][self.region]
    try:
        subnets = [ec2.get_subnet(one) for one in self.params.get("SubnetIds", [])]
    except InvalidSubnetIdError as error:  # moto: EC2's code
        raise RDSClientError("InvalidSubnet", error.message) from None
    if len({one.vpc_id for one in subnets}) > 1:  # moto: the first one's VPC counts
        raise RDSClientError("InvalidSubnet", "The subnets are not all in one VPC.")
    zones = {one.availability_zone for one in subnets}
    if len(zones) < FEWEST_ZONES:  # moto: any
        raise RDSClientError(
            "DBSubnetGroupDoesNotCoverEnoughAZs",
            f"The DB subnet group doesn't meet Availability Zone (AZ) coverage requirement. Current AZ coverage: {', '.join(sorted(zones))}. "
            f"Add subnets to cover at least {FEWEST_ZONES} AZs.",
        )


def _check_new_subnet_group(self: RDSResponse) -> None:
    name = str(self.params["DBSubnetGroupName"]).lower()
    if name == "default":
        raise InvalidParameterValue("The DB subnet group name default is reserved: every account has that group")
    if name in self.backend.subnet_groups:  # moto: replaces it
        raise RDSClientError("DBSubnetGroupAlreadyExists", f"The DB subnet group '{name}' already exists.")
    _check_subnets(self)


def _users(resources: Iterable[Any], attribute: str, name: str, identifier: str) -> list[str]:
    return [getattr(one, identifier) for one in resources if getattr(one, attribute, None) == name]


def _refuse_used(code: str, name: str, used_by: list[str]) -> None:
    if name == "default" or name.startswith("default."):
        raise RDSClientError(code, f"{name} is a default group and cannot be deleted.")
    if used_by:  # moto: deletes it
        raise RDSClientError(
            code, f"{name} is in use by {', '.join(used_by)}. Delete them, or give them another group."
        )


def _check_subnet_group_unused(self: RDSResponse) -> None:
    name = self.params["DBSubnetGroupName"]
    users = _users(self.backend.clusters.values(), "db_subnet_group_name", name, "db_cluster_identifier")
    _refuse_used("InvalidDBSubnetGroupStateFault", name, users)


def _check_cluster_group_unused(self: RDSResponse) -> None:
    name = self.params["DBClusterParameterGroupName"]
    users = _users(self.backend.clusters.values(), "parameter_group", name, "db_cluster_identifier")
    _refuse_used("InvalidDBParameterGroupState", name, users)


def _check_instance_group_unused(self: RDSResponse) -> None:
    name = self.params["DBParameterGroupName"]
    users = _users(self.backend.databases.values(), "db_parameter_group_name", name, "db_instance_identifier")
    _refuse_used("InvalidDBParameterGroupState", name, users)


LAYERS = (
    before("create_db_subnet_group", _check_new_subnet_group),
    before("modify_db_subnet_group", _check_subnets),
    before("delete_db_subnet_group", _check_subnet_group_unused),
    before("delete_db_cluster_parameter_group", _check_cluster_group_unused),
    before("delete_db_parameter_group", _check_instance_group_unused),
)
