"""What RDS tells about itself: engine versions, orderable options, parameter groups, maintenance.

Each function is one operation of the API on moto's response class. A comment says what moto alone answers.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from moto.core.responses import ActionResult, PaginatedResult
from moto.rds.exceptions import (
    DBClusterParameterGroupNotFoundError,
    DBParameterGroupNotFoundError,
    InvalidParameterCombination,
    InvalidParameterValue,
    RDSClientError,
)
from moto.rds.models import DBClusterParameterGroup, DBParameterGroup
from moto.rds.responses import RDSResponse

from aurora_ops.capacity.acu import version_limits
from aurora_ops.core.engine import ENGINE
from aurora_ops.sandbox.engine import DEFAULT_VERSION, ENGINE_VERSIONS
from aurora_ops.sandbox.parameters import families as parameters

INSTANCE_CLASS = "db.serverless"


def _major(version: str) -> str:
    return version.split(".")[0]


def _check_engine(engine: str | None) -> None:
    if engine not in (None, ENGINE):
        raise InvalidParameterValue(f"Unrecognized engine name: {engine} (this sandbox is an {ENGINE})")


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
        "SupportedCACertificateIdentifiers": ["rds-ca-rsa2048-g1", "rds-ca-rsa4096-g1", "rds-ca-ecc384-g1"],
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
    _check_engine(wanted.get("Engine"))
    version, family = wanted.get("EngineVersion"), wanted.get("DBParameterGroupFamily")
    found = [
        one
        for one in ENGINE_VERSIONS
        if version in (None, one, _major(one)) and family in (None, f"{ENGINE}{_major(one)}")
    ]
    if wanted.get("DefaultOnly"):
        found = _default_of(found)
    return PaginatedResult({"DBEngineVersions": [_engine_version(one) for one in found]})


def describe_orderable_db_instance_options(self: RDSResponse) -> ActionResult:
    """What CreateDBInstance takes here. moto: a list of 2021 that ignores DBInstanceClass and has no db.serverless."""
    wanted = self.params
    _check_engine(wanted.get("Engine"))
    version = wanted.get("EngineVersion")
    found = [one for one in ENGINE_VERSIONS if version in (None, one, _major(one))]
    if not found:
        raise InvalidParameterCombination(f"Cannot find version {version} for {ENGINE}")
    if wanted.get("DBInstanceClass") not in (None, INSTANCE_CLASS) or wanted.get("Vpc") is False:
        found = []
    zones = [{"Name": f"{self.region}{letter}"} for letter in ("a", "c", "d")]
    options = [
        {
            "Engine": ENGINE,
            "EngineVersion": one,
            "DBInstanceClass": INSTANCE_CLASS,
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
        for storage in ("aurora", "aurora-iopt1")
    ]
    return PaginatedResult({"OrderableDBInstanceOptions": options})


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
def _as_rds_says() -> Iterator[None]:
    """What the parameters' own module refuses, as an error of RDS."""
    try:
        yield
    except parameters.ParameterError as error:
        raise RDSClientError(error.code, str(error)) from None


@_as_rds_says()
def _describe_parameters(self: RDSResponse, name: str, *, of_cluster: bool) -> ActionResult:
    family, mine = _group(self, name, of_cluster=of_cluster)
    known = parameters.family(family, of_cluster=of_cluster)
    # In one page: AWS sends a hundred at a time, and moto's paging answers HTTP 500 to that many.
    return ActionResult({"Parameters": parameters.merge(known, mine, self.params.get("Source"))})


def describe_db_cluster_parameters(self: RDSResponse) -> ActionResult:
    """The family with the group's values in it. moto: only what a user set."""
    return _describe_parameters(self, self.params["DBClusterParameterGroupName"], of_cluster=True)


def describe_db_parameters(self: RDSResponse) -> ActionResult:
    """The same of an instance's group."""
    return _describe_parameters(self, self.params["DBParameterGroupName"], of_cluster=False)


@_as_rds_says()
def describe_engine_default_cluster_parameters(self: RDSResponse) -> ActionResult:
    """A family without any group. moto: HTTP 500."""
    family = self.params["DBParameterGroupFamily"]
    known = parameters.merge(parameters.family(family, of_cluster=True), {}, None)
    return ActionResult({"EngineDefaults": {"DBParameterGroupFamily": family, "Parameters": known}})


def _with_defaults(stock: Any, kind: Any, parameter: str, key: str) -> Any:
    def describe(self: RDSResponse) -> ActionResult:
        name = self.params.get(parameter)
        if not _is_default(name):
            return stock(self)  # type: ignore[no-any-return]
        family = name.removeprefix("default.")
        return ActionResult({key: [kind(self.backend, name, f"Default parameter group for {family}", family)]})

    return describe


def _checked(stock: Any, parameter: str, *, of_cluster: bool) -> Any:
    def modify(self: RDSResponse) -> ActionResult:
        name = self.params[parameter]
        _refuse_default(name)
        family, _ = _group(self, name, of_cluster=of_cluster)
        wanted = [one.original_dict() for one in self.params.get("Parameters", [])]
        with _as_rds_says():
            parameters.check(parameters.family(family, of_cluster=of_cluster), wanted)
        return stock(self)  # type: ignore[no-any-return]

    return modify


def _created(stock: Any, *, of_cluster: bool) -> Any:
    def create(self: RDSResponse) -> ActionResult:
        with _as_rds_says():  # moto: any family
            parameters.family(self.params.get("DBParameterGroupFamily", ""), of_cluster=of_cluster)
        return stock(self)  # type: ignore[no-any-return]

    return create


def _reset(parameter: str, *, of_cluster: bool) -> Any:
    def reset(self: RDSResponse) -> ActionResult:
        # moto: HTTP 500, so Terraform could not take a parameter out of a group.
        name = self.params[parameter]
        _refuse_default(name)
        _group(self, name, of_cluster=of_cluster)
        wanted = [one.original_dict() for one in self.params.get("Parameters", [])]
        if bool(wanted) == bool(self.params.get("ResetAllParameters")):
            raise InvalidParameterCombination("Either Parameters or ResetAllParameters must be given, and not both.")
        self.backend.reset_parameters(name, wanted or None, of_cluster=of_cluster)
        return ActionResult({parameter: self.params[parameter]})

    return reset


def describe_pending_maintenance_actions(self: RDSResponse) -> ActionResult:
    """Nothing is ever pending here. moto: HTTP 500."""
    wanted = self.params.get("ResourceIdentifier")
    known = {one.arn for one in [*self.backend.clusters.values(), *self.backend.databases.values()]}
    if wanted is not None and wanted not in known:
        raise RDSClientError("ResourceNotFoundFault", f"The specified resource identifier is not found: {wanted}")
    return PaginatedResult({"PendingMaintenanceActions": []})


def install() -> None:
    """Put these operations into moto's RDS, in this process."""
    here = globals()
    for name in [one for one in here if one.startswith("describe_")]:
        setattr(RDSResponse, name, here[name])
    for of_cluster, kind, word in ((True, DBClusterParameterGroup, "DBCluster"), (False, DBParameterGroup, "DB")):
        parameter, operation = f"{word}ParameterGroupName", "db_cluster" if of_cluster else "db"
        for verb, wrap in (
            ("describe_{}_parameter_groups", lambda s, k=kind, p=parameter, w=word: _with_defaults(s, k, p, f"{w}ParameterGroups")),
            ("modify_{}_parameter_group", lambda s, p=parameter, c=of_cluster: _checked(s, p, of_cluster=c)),
            ("create_{}_parameter_group", lambda s, c=of_cluster: _created(s, of_cluster=c)),
        ):  # fmt: skip
            name = verb.format(operation)
            setattr(RDSResponse, name, wrap(getattr(RDSResponse, name)))
        setattr(RDSResponse, f"reset_{operation}_parameter_group", _reset(parameter, of_cluster=of_cluster))
