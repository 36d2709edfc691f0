"""Descriptions come in pages of 20 to 100. moto: some all at once, pages of any size, and HTTP 500 for a page's marker and for more than 100."""

import base64
import binascii
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from moto.core.responses import ActionResult
from moto.rds.exceptions import InvalidParameterValue
from moto.rds.responses import RDSResponse

from aurora_ops.sandbox.requests.layers import Method, around

SMALLEST, LARGEST = 20, 100


class Paged(NamedTuple):
    """One operation: the key of its answer, what identifies an item, and the sizes that a page can have."""

    key: str
    attribute: str = ""  # empty: its place in the list, for lists of things that are not deleted one by one
    smallest: int = SMALLEST
    largest: int = LARGEST
    usual: int = LARGEST  # without MaxRecords


_PAGED = {
    "describe_certificates": Paged("Certificates"),
    "describe_db_capacity_reservations": Paged("DBCapacityReservations"),
    "describe_db_cluster_endpoints": Paged("DBClusterEndpoints"),
    "describe_db_clusters": Paged("DBClusters", "db_cluster_identifier"),
    "describe_db_instances": Paged("DBInstances", "db_instance_identifier"),
    "describe_db_cluster_snapshots": Paged("DBClusterSnapshots", "db_cluster_snapshot_identifier"),
    "describe_db_subnet_groups": Paged("DBSubnetGroups", "name"),
    "describe_db_cluster_automated_backups": Paged("DBClusterAutomatedBackups"),
    "describe_db_cluster_parameter_groups": Paged("DBClusterParameterGroups", "name"),
    "describe_db_cluster_parameters": Paged("Parameters"),
    "describe_db_engine_versions": Paged("DBEngineVersions"),
    "describe_db_log_files": Paged("DescribeDBLogFiles", smallest=1),  # no smallest page is documented
    "describe_db_major_engine_versions": Paged("DBMajorEngineVersions", smallest=1),  # no smallest page is documented
    "describe_db_parameter_groups": Paged("DBParameterGroups", "name"),
    "describe_db_parameters": Paged("Parameters"),
    "describe_db_snapshot_tenant_databases": Paged("DBSnapshotTenantDatabases"),
    "describe_engine_default_cluster_parameters": Paged("EngineDefaults.Parameters"),
    "describe_engine_default_parameters": Paged("EngineDefaults.Parameters"),
    "describe_event_subscriptions": Paged("EventSubscriptionsList"),
    "describe_events": Paged("Events"),
    "describe_global_clusters": Paged("GlobalClusters"),
    "describe_integrations": Paged("Integrations"),
    "describe_option_groups": Paged("OptionGroupsList"),
    "describe_orderable_db_instance_options": Paged("OrderableDBInstanceOptions", largest=1000),
    "describe_pending_maintenance_actions": Paged("PendingMaintenanceActions"),
    "describe_reserved_db_instances": Paged("ReservedDBInstances"),
    "describe_serverless_v2_platform_versions": Paged(
        "ServerlessV2PlatformVersions", smallest=1, largest=200, usual=20
    ),
    "describe_source_regions": Paged("SourceRegions"),
    "describe_tenant_databases": Paged("TenantDatabases"),
}


def _marker(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode()


def _begin(names: list[str], marker: str | None) -> int:
    """Where the page that the marker names begins. The code for a marker that is none could not be confirmed."""
    if not marker:
        return 0
    try:
        return names.index(base64.urlsafe_b64decode(marker).decode())
    except (binascii.Error, ValueError):
        raise InvalidParameterValue(
            f"Invalid marker {marker}: no earlier answer had it, or what it names was deleted."
        ) from None


def _page(self: RDSResponse, describe: Method, *, paged: Paged) -> ActionResult:
    size = int(self.params.get("MaxRecords", paged.usual))
    if not paged.smallest <= size <= paged.largest:
        raise InvalidParameterValue(
            f"Invalid value {size} for MaxRecords. Must be between {paged.smallest} and {paged.largest}"
        )
    answer = describe(self)._result
    *within, key = paged.key.split(".")
    holder = answer
    for name in within:
        holder = holder[name]
    items = list(holder[key])
    names = [_name(paged.attribute)(number, one) for number, one in enumerate(items)]
    begin = _begin(names, self.params.get("Marker"))
    end = begin + size
    more = {"Marker": _marker(names[end])} if end < len(items) else {}
    page = {**holder, key: items[begin:end], **more}
    for name in reversed(within):
        page = {name: page}
    return ActionResult(page)


def _name(attribute: str) -> Callable[[int, Any], str]:
    return (lambda _, one: str(getattr(one, attribute))) if attribute else (lambda number, _: f"#{number}")


LAYERS = tuple(around(operation, partial(_page, paged=paged)) for operation, paged in _PAGED.items())
