"""Descriptions come in pages of 20 to 100. moto: clusters and snapshots all at once, pages of any size, and HTTP 500 for a page's marker."""

import base64
import binascii
from functools import partial

from moto.core.responses import ActionResult
from moto.rds.exceptions import InvalidParameterValue
from moto.rds.responses import RDSResponse

from aurora_ops.sandbox.requests.layers import Method, around

SMALLEST, LARGEST = 20, 100
_PAGED = {  # operation -> key of the answer, what identifies an item
    "describe_db_clusters": ("DBClusters", "db_cluster_identifier"),
    "describe_db_instances": ("DBInstances", "db_instance_identifier"),
    "describe_db_cluster_snapshots": ("DBClusterSnapshots", "db_cluster_snapshot_identifier"),
    "describe_db_subnet_groups": ("DBSubnetGroups", "name"),
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


def _page(self: RDSResponse, describe: Method, *, key: str, attribute: str) -> ActionResult:
    size = int(self.params.get("MaxRecords", LARGEST))
    if not SMALLEST <= size <= LARGEST:
        raise InvalidParameterValue(f"Invalid value {size} for MaxRecords. Must be between {SMALLEST} and {LARGEST}")
    items = list(describe(self)._result[key])
    names = [str(getattr(one, attribute)) for one in items]
    begin = _begin(names, self.params.get("Marker"))
    end = begin + size
    more = {"Marker": _marker(names[end])} if end < len(items) else {}
    return ActionResult({key: items[begin:end], **more})


LAYERS = tuple(
    around(operation, partial(_page, key=key, attribute=attribute)) for operation, (key, attribute) in _PAGED.items()
)
