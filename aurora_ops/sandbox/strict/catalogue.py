"""The catalogue of RDS: engine versions, orderable options, parameter groups, pending maintenance.

Each function is one operation of the API on moto's response class. A comment says what moto alone answers.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from moto.core.responses import ActionResult
from moto.rds.exceptions import (
    DBClusterParameterGroupNotFoundError,
    DBParameterGroupNotFoundError,
    InvalidParameterCombination,
    RDSClientError,
)
from moto.rds.models import DBClusterParameterGroup, DBParameterGroup
from moto.rds.responses import RDSResponse

from aurora_ops.capacity.acu import version_limits
from aurora_ops.core.engine import ENGINE, SERVERLESS_CLASS
from aurora_ops.sandbox.engine import DEFAULT_VERSION, ENGINE_VERSIONS, PROVISIONED_CLASSES
from aurora_ops.sandbox.parameters import families as parameters
from aurora_ops.sandbox.rds.backend import backend_of
from aurora_ops.sandbox.requests.layers import Layer, Method, around, before, instead
from aurora_ops.sandbox.strict.descriptions import CERTIFICATES, check_engine

CLASSES = (SERVERLESS_CLASS, *PROVISIONED_CLASSES)


def _major(version: str) -> str:
    return version.split(".")[0]


def _engine_version(version: str) -> dict[str, Any]:
    floor, ceiling = version_limits(version)
    later = ENGINE_VERSIONS[ENGINE_VERSIONS.index(version) + 1 :]
    return {
        "Engine": ENGINE,
        "EngineVersion": version,
        "MajorEngineVersion": _major(version),
        "DBParameterGroupFamily": f"{ENGINE}{_major(version)}",
        "DBEngineDescription": "Aurora PostgreSQL",
        "DBEngineVersionDescription": f"Aurora PostgreSQL (Compatible with PostgreSQL {version})",
        "Status": "available",
        "SupportedEngineModes": ["provisioned"],
        "ExportableLogTypes": ["postgresql"],
        "SupportsLogExportsToCloudwatchLogs": True,
        "SupportsReadReplica": False,
        "SupportsGlobalDatabases": True,
        "SupportsParallelQuery": False,
        "SupportsCertificateRotationWithoutRestart": True,
        "SupportedCACertificateIdentifiers": list(CERTIFICATES),
        "ServerlessV2FeaturesSupport": {"MinCapacity": floor, "MaxCapacity": ceiling},
        "ValidUpgradeTarget": [
            {
                "Engine": ENGINE,
                "EngineVersion": target,
                "Description": f"Aurora PostgreSQL (Compatible with PostgreSQL {target})",
                "AutoUpgrade": False,
                "IsMajorVersionUpgrade": _major(target) != _major(version),
            }
            for target in later
        ],
    }


def _default_of(versions: list[str]) -> list[str]:
    if not versions:
        return []
    return [DEFAULT_VERSION if DEFAULT_VERSION in versions else versions[-1]]


def describe_db_engine_versions(self: RDSResponse) -> ActionResult:
    """Versions that can be created, of the dated list. moto: HTTP 500."""
    wanted = self.params
    check_engine(wanted.get("Engine"))
    version, family = wanted.get("EngineVersion"), wanted.get("DBParameterGroupFamily")
    found = [
        one
        for one in ENGINE_VERSIONS
        if version in (None, one, _major(one)) and family in (None, f"{ENGINE}{_major(one)}")
    ]
    if wanted.get("DefaultOnly"):
        found = _default_of(found)
    return ActionResult({"DBEngineVersions": [_engine_version(one) for one in found]})


def describe_orderable_db_instance_options(self: RDSResponse) -> ActionResult:
    """What CreateDBInstance takes here. moto: a list of 2021 that ignores DBInstanceClass and has no db.serverless."""
    wanted = self.params
    check_engine(wanted.get("Engine"))
    version = wanted.get("EngineVersion")
    found = [one for one in ENGINE_VERSIONS if version in (None, one, _major(one))]
    if not found:
        raise InvalidParameterCombination(f"Cannot find version {version} for {ENGINE}")
    classes = [
        one for one in CLASSES if wanted.get("DBInstanceClass") in (None, one) and wanted.get("Vpc") is not False
    ]
    zones = [{"Name": f"{self.region}{letter}"} for letter in ("a", "c", "d")]
    options = [
        {
            "Engine": ENGINE,
            "EngineVersion": one,
            "DBInstanceClass": instance_class,
            "LicenseModel": "postgresql-license",
            "AvailabilityZones": zones,
            "MultiAZCapable": False,
            "ReadReplicaCapable": False,
            "Vpc": True,
            "SupportsStorageEncryption": True,
            "StorageType": storage,
            "SupportsIops": False,
            "SupportsEnhancedMonitoring": True,
            "SupportsIAMDatabaseAuthentication": True,
            "SupportsPerformanceInsights": True,
            "SupportedEngineModes": ["provisioned"],
            "SupportsClusters": True,
            "SupportsGlobalDatabases": True,
            "SupportedNetworkTypes": ["IPV4", "DUAL"],
        }
        for one in found
        for instance_class in classes
        for storage in ("aurora", "aurora-iopt1")
    ]
    return ActionResult({"OrderableDBInstanceOptions": options})


def _is_default(name: str | None) -> bool:
    return (name or "").removeprefix("default.") in parameters.FAMILIES


def _refuse_default(name: str) -> None:
    if _is_default(name):
        raise RDSClientError(
            "InvalidDBParameterGroupState", f"{name} is a default parameter group and cannot be modified."
        )


def _group(self: RDSResponse, name: str, *, of_cluster: bool) -> tuple[str, dict[str, Any]]:
    """A group's family and what was set in it. Default groups always exist; moto: cluster's not found, instance's empty."""
    groups: Any = self.backend.db_cluster_parameter_groups if of_cluster else self.backend.db_parameter_groups
    if _is_default(name):
        return name.removeprefix("default."), {}
    if name not in groups:
        raise (DBClusterParameterGroupNotFoundError if of_cluster else DBParameterGroupNotFoundError)(name)
    group = groups[name]
    return (group.db_parameter_group_family if of_cluster else group.family), group.parameters


@contextmanager
def _as_rds_error() -> Iterator[None]:
    """Turn what the module of parameters refuses into an error of RDS."""
    try:
        yield
    except parameters.ParameterError as error:
        raise RDSClientError(error.code, str(error)) from None


@_as_rds_error()
def _describe_parameters(self: RDSResponse, name: str, *, of_cluster: bool) -> ActionResult:
    family, mine = _group(self, name, of_cluster=of_cluster)
    known = parameters.family(family, of_cluster=of_cluster)
    return ActionResult({"Parameters": parameters.merge(known, mine, self.params.get("Source"))})


def describe_db_cluster_parameters(self: RDSResponse) -> ActionResult:
    """The family with the group's values in it. moto: only what a user set."""
    return _describe_parameters(self, self.params["DBClusterParameterGroupName"], of_cluster=True)


def describe_db_parameters(self: RDSResponse) -> ActionResult:
    """The same of an instance's group."""
    return _describe_parameters(self, self.params["DBParameterGroupName"], of_cluster=False)


@_as_rds_error()
def _describe_engine_defaults(self: RDSResponse, *, of_cluster: bool) -> ActionResult:
    """A family without any group. moto: HTTP 500."""
    family = self.params["DBParameterGroupFamily"]
    known = parameters.merge(parameters.family(family, of_cluster=of_cluster), {}, None)
    return ActionResult({"EngineDefaults": {"DBParameterGroupFamily": family, "Parameters": known}})


def _with_defaults(self: RDSResponse, describe: Method, *, kind: Any, parameter: str, key: str) -> ActionResult:
    name = str(self.params.get(parameter))
    if not _is_default(name):
        answer: ActionResult = describe(self)
        return answer
    family = name.removeprefix("default.")
    return ActionResult({key: [kind(self.backend, name, f"Default parameter group for {family}", family)]})


def _check_parameters(self: RDSResponse, *, parameter: str, of_cluster: bool) -> None:
    name = self.params[parameter]
    _refuse_default(name)
    family, _ = _group(self, name, of_cluster=of_cluster)
    wanted = [one.original_dict() for one in self.params.get("Parameters", [])]
    with _as_rds_error():
        parameters.check(parameters.family(family, of_cluster=of_cluster), wanted)


def _check_family(self: RDSResponse, *, of_cluster: bool) -> None:
    with _as_rds_error():  # moto: any family
        parameters.family(self.params.get("DBParameterGroupFamily", ""), of_cluster=of_cluster)


def _reset_group(self: RDSResponse, *, parameter: str, of_cluster: bool) -> ActionResult:
    """Take parameters out of a group. moto: HTTP 500, so Terraform could not."""
    name = self.params[parameter]
    _refuse_default(name)
    _group(self, name, of_cluster=of_cluster)
    wanted = [one.original_dict() for one in self.params.get("Parameters", [])]
    if bool(wanted) == bool(self.params.get("ResetAllParameters")):
        raise InvalidParameterCombination("Either Parameters or ResetAllParameters must be given, and not both.")
    backend_of(self).parameters.reset(name, wanted or None, of_cluster=of_cluster)
    return ActionResult({parameter: name})


def describe_pending_maintenance_actions(self: RDSResponse) -> ActionResult:
    """Nothing is ever pending here. moto: HTTP 500."""
    wanted = self.params.get("ResourceIdentifier")
    known = {one.arn for one in [*self.backend.clusters.values(), *self.backend.databases.values()]}
    if wanted is not None and wanted not in known:
        raise RDSClientError("ResourceNotFoundFault", f"The specified resource identifier is not found: {wanted}")
    return ActionResult({"PendingMaintenanceActions": []})


def _of_groups(kind: Any, word: str, noun: str, *, of_cluster: bool) -> tuple[Layer, ...]:
    parameter = f"{word}ParameterGroupName"
    return (
        around(
            f"describe_{noun}_parameter_groups",
            partial(_with_defaults, kind=kind, parameter=parameter, key=f"{word}ParameterGroups"),
        ),
        before(
            f"modify_{noun}_parameter_group", partial(_check_parameters, parameter=parameter, of_cluster=of_cluster)
        ),
        before(f"create_{noun}_parameter_group", partial(_check_family, of_cluster=of_cluster)),
        instead(
            partial(_reset_group, parameter=parameter, of_cluster=of_cluster), method=f"reset_{noun}_parameter_group"
        ),
    )


LAYERS = (
    instead(describe_db_engine_versions),
    instead(describe_orderable_db_instance_options),
    instead(describe_db_cluster_parameters),
    instead(describe_db_parameters),
    instead(partial(_describe_engine_defaults, of_cluster=True), method="describe_engine_default_cluster_parameters"),
    instead(partial(_describe_engine_defaults, of_cluster=False), method="describe_engine_default_parameters"),
    instead(describe_pending_maintenance_actions),
    *_of_groups(DBClusterParameterGroup, "DBCluster", "db_cluster", of_cluster=True),
    *_of_groups(DBParameterGroup, "DB", "db", of_cluster=False),
)
