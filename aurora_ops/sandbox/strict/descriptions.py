"""What an account asks RDS beside its clusters: endpoints, certificates, regions, how long versions are supported, what was bought.

moto answers none of these (HTTP 500). Three kinds, and no fourth: what stands in this sandbox is described from there; what AWS publishes
comes from the dated facts of this package, and a field that they do not hold is left out; a list of what only the account itself could
have made, and cannot make here, is empty. What AWS alone decides (its recommendations, its offers) is not built and is refused as that.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from moto.core.responses import ActionResult
from moto.ec2.models import ec2_backends
from moto.rds.exceptions import DBClusterNotFoundError, InvalidParameterValue, RDSClientError
from moto.rds.responses import RDSResponse

from aurora_ops.billing import engine_support
from aurora_ops.core.engine import ENGINE, EXTENDED_SUPPORT
from aurora_ops.sandbox.engine import DEFAULT_PLATFORM, ENGINE_VERSIONS, PLATFORM_LIMITS, PLATFORM_VERSIONS
from aurora_ops.sandbox.rds.models import plane
from aurora_ops.sandbox.requests.layers import before, instead

CERTIFICATES = ("rds-ca-rsa2048-g1", "rds-ca-rsa4096-g1", "rds-ca-ecc384-g1")
_ENDPOINT_FILTERS = {
    "db-cluster-endpoint-type": "EndpointType",
    "db-cluster-endpoint-custom-type": "CustomEndpointType",
    "db-cluster-endpoint-id": "DBClusterEndpointIdentifier",
    "db-cluster-endpoint-status": "Status",
}


def check_engine(engine: str | None) -> None:
    """Refuse another engine: it is not known here, which is not the same as that AWS has nothing to say of it."""
    if engine not in (None, ENGINE):
        raise InvalidParameterValue(f"Unrecognized engine name: {engine} (this sandbox is an {ENGINE})")


def describe_db_cluster_endpoints(self: RDSResponse) -> ActionResult:
    """The writer and the reader endpoint of each cluster. Custom endpoints cannot be created here."""
    wanted = (self.params.get("DBClusterIdentifier") or "").lower()
    if wanted and wanted not in self.backend.clusters:
        raise DBClusterNotFoundError(wanted)
    found = [
        one
        for cluster in self.backend.clusters.values()
        if wanted in ("", cluster.db_cluster_identifier)
        for one in _endpoints(cluster)
    ]
    if self.params.get("DBClusterEndpointIdentifier"):  # the two that every cluster has carry none
        found = []
    for one in self.params.get("Filters", []):
        if one["Name"] not in _ENDPOINT_FILTERS:
            raise InvalidParameterValue(f"Unrecognized filter name: {one['Name']}")
        values = {value.lower() for value in one["Values"]}
        found = [endpoint for endpoint in found if endpoint.get(_ENDPOINT_FILTERS[one["Name"]], "").lower() in values]
    return ActionResult({"DBClusterEndpoints": found})


def _endpoints(cluster: Any) -> Iterator[dict[str, str]]:
    status = cluster.status if cluster.status in ("creating", "deleting") else "available"
    for kind, host in (("WRITER", cluster.endpoint), ("READER", cluster.reader_endpoint)):
        yield {
            "DBClusterIdentifier": cluster.db_cluster_identifier,
            "Endpoint": host,
            "Status": status,
            "EndpointType": kind,
        }


def describe_certificates(self: RDSResponse) -> ActionResult:
    """The authorities by AWS's names. Here one authority signs for all of them: thumbprint and dates are its own."""
    wanted = self.params.get("CertificateIdentifier")
    found = [one for one in CERTIFICATES if wanted is None or one == wanted.lower()]
    if not found:
        raise RDSClientError("CertificateNotFound", f"Certificate {wanted} not found.")
    arn = f"arn:aws:rds:{self.region}::cert:"
    known = [
        {"CertificateIdentifier": one, "CertificateType": "CA", "CertificateArn": arn + one, "CustomerOverride": False, **_authority()}
        for one in found
    ]  # fmt: skip
    return ActionResult({"DefaultCertificateForNewLaunches": CERTIFICATES[0], "Certificates": known})


def _authority() -> dict[str, Any]:
    authority = plane().authority
    if authority is None:  # servers without TLS
        return {}
    certificate = x509.load_pem_x509_certificate(authority.bundle.encode())
    return {
        "Thumbprint": certificate.fingerprint(hashes.SHA1()).hex(),  # noqa: S303 - RDS gives this one
        "ValidFrom": certificate.not_valid_before_utc,
        "ValidTill": certificate.not_valid_after_utc,
    }


def describe_db_major_engine_versions(self: RDSResponse) -> ActionResult:
    """How long the major versions of the dated list are supported. When they appeared is not in our facts, so no start is told."""
    check_engine(self.params.get("Engine"))
    majors = dict.fromkeys(version.partition(".")[0] for version in ENGINE_VERSIONS)
    wanted = self.params.get("MajorEngineVersion")
    return ActionResult({
        "DBMajorEngineVersions": [
            {"Engine": ENGINE, "MajorEngineVersion": one, "SupportedEngineLifecycles": list(_lifecycles(one))}
            for one in majors
            if wanted in (None, one)
        ]
    })  # fmt: skip


def _lifecycles(major: str) -> Iterator[dict[str, Any]]:
    until = engine_support.standard_until(major)
    if until is None:
        return
    yield {"LifecycleSupportName": "open-source-rds-standard-support", "LifecycleSupportEndDate": _end(until)}
    extended: dict[str, Any] = {
        "LifecycleSupportName": EXTENDED_SUPPORT,
        "LifecycleSupportStartDate": datetime.combine(until + timedelta(days=1), time(), UTC),
    }
    if (last := engine_support.extended_until(major)) is not None:
        extended["LifecycleSupportEndDate"] = _end(last)
    yield extended


def _end(day: date) -> datetime:
    return datetime.combine(day, time(23, 59, 59, 999000), UTC)


def describe_serverless_v2_platform_versions(self: RDSResponse) -> ActionResult:
    """The platform versions that are known to be in use; with IncludeAll the older ones, of which only the number is known."""
    wanted = self.params
    check_engine(wanted.get("Engine"))
    floor, ceiling = PLATFORM_LIMITS
    found: list[dict[str, Any]] = [
        {"ServerlessV2PlatformVersion": version, "Engine": ENGINE, **({"ServerlessV2PlatformVersionDescription": about} if about else {}),
         **({"ServerlessV2FeaturesSupport": {"MinCapacity": floor, "MaxCapacity": ceiling}, "Status": "enabled"} if in_use else {}),
         "IsDefault": version == DEFAULT_PLATFORM}
        for version, (in_use, about) in PLATFORM_VERSIONS.items()
        if in_use or wanted.get("IncludeAll") or wanted.get("ServerlessV2PlatformVersion") == version
    ]  # fmt: skip
    if wanted.get("DefaultOnly"):
        found = [one for one in found if one["IsDefault"]]
    if version := wanted.get("ServerlessV2PlatformVersion"):
        found = [one for one in found if one["ServerlessV2PlatformVersion"] == version]
    return ActionResult({"ServerlessV2PlatformVersions": found})


def describe_source_regions(self: RDSResponse) -> ActionResult:
    """The other regions that the account has enabled. Which of them take backups of this one is AWS's to say, so it is not told."""
    wanted = self.params.get("RegionName")
    regions = sorted(one.name for one in ec2_backends[self.current_account][self.region].describe_regions())
    if wanted is not None and wanted not in regions:
        raise InvalidParameterValue(f"Invalid region: {wanted}")
    return ActionResult({
        "SourceRegions": [
            {"RegionName": one, "Endpoint": f"https://rds.{one}.amazonaws.com", "Status": "available"}
            for one in regions
            if one != self.region and wanted in (None, one)
        ]
    })  # fmt: skip


def _nothing(self: RDSResponse, *, key: str, identifier: str = "", code: str = "") -> ActionResult:
    """A list of what this account cannot make here; one that is asked for by its name is not found."""
    if identifier and (wanted := self.params.get(identifier)):
        raise RDSClientError(code, f"{identifier} {wanted} not found.")
    return ActionResult({key: []})


def describe_option_groups(self: RDSResponse) -> ActionResult:
    """The account's own option groups, by name, engine and version. moto: HTTP 500 without a name."""
    name = self.params.get("OptionGroupName")
    engine, major = self.params.get("EngineName"), self.params.get("MajorEngineVersion")
    groups = self.backend.option_groups
    if name and name not in groups:
        raise RDSClientError("OptionGroupNotFoundFault", f"Specified OptionGroupName: {name} not found.")
    return ActionResult({
        "OptionGroupsList": [
            one for one in groups.values()
            if name in (None, one.name) and engine in (None, one.engine_name) and major in (None, one.major_engine_version)
        ]
    })  # fmt: skip


def _check_proxy(self: RDSResponse) -> None:
    """A proxy that is not there is refused. moto: HTTP 500."""
    name = self.params.get("DBProxyName")
    if name not in self.backend.db_proxies:
        raise RDSClientError("DBProxyNotFoundFault", f"The specified proxy name {name} was not found.")


# What only the account itself could have: the operation, the list's key, and what it is asked for by.
_OF_NOTHING = {
    "describe_reserved_db_instances": ("ReservedDBInstances", "ReservedDBInstanceId", "ReservedDBInstanceNotFound"),
    "describe_db_capacity_reservations": ("DBCapacityReservations", "DBCapacityReservationIdentifier", "DBCapacityReservationNotFound"),
    "describe_integrations": ("Integrations", "IntegrationIdentifier", "IntegrationNotFoundFault"),
    "describe_tenant_databases": ("TenantDatabases", "", ""),
    "describe_db_snapshot_tenant_databases": ("DBSnapshotTenantDatabases", "", ""),
}  # fmt: skip

LAYERS = (
    instead(describe_db_cluster_endpoints),
    instead(describe_certificates),
    instead(describe_db_major_engine_versions),
    instead(describe_serverless_v2_platform_versions),
    instead(describe_source_regions),
    instead(describe_option_groups),
    before("describe_db_proxy_targets", _check_proxy),
    before("describe_db_proxy_target_groups", _check_proxy),
    *(
        instead(partial(_nothing, key=key, identifier=identifier, code=code), method=operation)
        for operation, (key, identifier, code) in _OF_NOTHING.items()
    ),
)
