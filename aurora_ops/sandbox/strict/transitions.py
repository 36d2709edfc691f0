"""Transitions: which operation takes what through which status, and what is refused meanwhile; see `statuses` for how long one lasts.

moto alone: every change is complete at once. What is deleted stays described as "deleting" for its time, apart from what exists, so that
neither a server nor a sampler finds it again.
"""

import copy
import math
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import moto.rds.models as models
from moto.core.responses import ActionResult
from moto.rds.exceptions import InvalidDBClusterStateFault, RDSClientError
from moto.rds.responses import RDSResponse

from aurora_ops.core.errors import InputError
from aurora_ops.sandbox import statuses
from aurora_ops.sandbox.rds.backend import backend_of, backends
from aurora_ops.sandbox.rds.models import AuroraCluster, AuroraInstance
from aurora_ops.sandbox.rds.records import Records
from aurora_ops.sandbox.requests import controls
from aurora_ops.sandbox.requests.layers import Method, around, before
from aurora_ops.sandbox.statuses import ALL, CLUSTER_WORDS, INSTANCE_WORDS, Transition

CLUSTER, INSTANCE = "DBClusterIdentifier", "DBInstanceIdentifier"
_STATE_CODES = {CLUSTER: "InvalidDBClusterStateFault", INSTANCE: "InvalidDBInstanceState"}
_EXISTS_CODES = {CLUSTER: "DBClusterAlreadyExistsFault", INSTANCE: "DBInstanceAlreadyExists"}
Resource = AuroraCluster | AuroraInstance


def _name(self: RDSResponse, parameter: str) -> str:
    return str(self.params.get(parameter) or "").rpartition(":")[2].lower()


def _find(records: Records, parameter: str, name: str) -> Resource | None:
    return records.clusters.get(name) if parameter == CLUSTER else records.instances.get(name)


def _deleting(records: Records, parameter: str) -> dict[str, Any]:
    """What is being deleted, by identifier. What has been deleted for good is removed here."""
    found: dict[str, Any] = records.deleting_clusters if parameter == CLUSTER else records.deleting_instances
    for name in [name for name, one in found.items() if not one.transitional_status]:
        found.pop(name, None)
    return found


def _until(name: str, status: str) -> float:
    """Until when a status lasts that begins now. A hang counts once."""
    if controls.settings["hangs"].get(name) == status:
        controls.settings["hangs"].pop(name, None)
        return math.inf
    return time.time() + _seconds(status)


def _seconds(status: str) -> float:
    seconds = controls.settings["seconds"]
    return float(seconds.get(status, seconds.get(ALL, 0)))


def enter(resource: Resource, name: str, status: str) -> None:
    """Let a resource pass through a status, for as long as it takes."""
    if (until := _until(name, status)) > time.time():
        resource.transition = Transition(status, until, time.time())


# -- which operation leads to which statuses ------------------------------------------------------------------------------------------

Step = tuple[str, str]  # parameter and status; the status of an instance of a cluster operation is that of every member


def _of_modified_cluster(self: RDSResponse) -> Iterator[Step]:
    wanted = self.params
    if wanted.get("EngineVersion"):
        yield from ((CLUSTER, "upgrading"), (INSTANCE, "upgrading"))
    elif any(wanted.get(key) for key in ("MasterUserPassword", "ManageMasterUserPassword", "RotateMasterUserPassword")):
        yield CLUSTER, "resetting-master-credentials"
    elif wanted.get("EnableIAMDatabaseAuthentication") is not None:
        yield from ((CLUSTER, "update-iam-db-auth"), (INSTANCE, "configuring-iam-database-auth"))
    elif wanted.get("CloudwatchLogsExportConfiguration"):
        yield from ((CLUSTER, "modifying"), (INSTANCE, "configuring-log-exports"))
    else:
        yield CLUSTER, "modifying"


def _of_modified_instance(self: RDSResponse) -> Iterator[Step]:
    monitoring = self.params.get("MonitoringInterval") is not None
    yield INSTANCE, "configuring-enhanced-monitoring" if monitoring else "modifying"


_STEPS: dict[str, tuple[Step, ...] | Callable[[RDSResponse], Iterator[Step]]] = {
    "create_db_cluster": ((CLUSTER, "creating"),),
    "restore_db_cluster_to_point_in_time": ((CLUSTER, "creating"),),
    "restore_db_cluster_from_snapshot": ((CLUSTER, "creating"),),
    "create_db_instance": ((INSTANCE, "creating"),),
    "modify_db_cluster": _of_modified_cluster,
    "modify_db_instance": _of_modified_instance,
    "reboot_db_instance": ((INSTANCE, "rebooting"),),
    "failover_db_cluster": ((CLUSTER, "failing-over"),),
    "start_db_cluster": ((CLUSTER, "starting"), (INSTANCE, "starting")),
    "stop_db_cluster": ((CLUSTER, "stopping"), (INSTANCE, "stopping")),
    "create_db_cluster_snapshot": ((CLUSTER, "backing-up"),),
}
# Answers that show the status at once, whatever it takes; those of a change show "available", and the status comes after.
_ANSWERS = {
    "create_db_cluster": "DBCluster",
    "restore_db_cluster_to_point_in_time": "DBCluster",
    "restore_db_cluster_from_snapshot": "DBCluster",
    "create_db_instance": "DBInstance",
}


def _follow(self: RDSResponse, operation: Method, *, steps: Any, key: str | None) -> Any:
    answer = operation(self)
    if key:
        shown = copy.copy(answer._result[key])
        shown.transition = Transition("creating", math.inf)
        answer._result[key] = shown
    for parameter, status in steps(self) if callable(steps) else steps:
        for resource in _named(self, parameter):
            enter(resource, _identifier(resource), status)
    return answer


def _named(self: RDSResponse, parameter: str) -> list[Resource]:
    """The resource that a request names, or every member of the cluster that it names."""
    records = backend_of(self).records
    own = _find(records, parameter, _name(self, parameter))
    if own is None and parameter == INSTANCE:
        cluster = records.clusters.get(_name(self, CLUSTER))
        return list(cluster.members) if cluster is not None else []
    return [own] if own is not None else []


def _identifier(resource: Resource) -> str:
    if isinstance(resource, AuroraInstance):
        return resource.db_instance_identifier
    return resource.db_cluster_identifier


# -- deleting ---------------------------------------------------------------------------------------------------------------


def _refuse_delete_in_transition(self: RDSResponse) -> None:
    cluster = backend_of(self).records.clusters.get(_name(self, CLUSTER))
    if cluster is not None and cluster.transitional_status:  # moto: deletes it
        raise InvalidDBClusterStateFault(
            f"DbCluster {cluster.db_cluster_identifier} is in {cluster.status} state but expected it to be one of available."
        )


def _keep_deleting(self: RDSResponse, delete: Method, *, parameter: str) -> Any:
    """What is deleted is described as "deleting" for its time."""
    name = _name(self, parameter)
    records = backend_of(self).records
    resource = _find(records, parameter, name)
    answer = delete(self)
    until = _until(name, "deleting")
    if resource is not None and until > time.time():
        deleting = copy.copy(resource)
        deleting.transition, deleting.forced_status = Transition("deleting", until, time.time()), ""
        _deleting(records, parameter)[name] = deleting
    return answer


def _describe_deleting(self: RDSResponse, describe: Method, *, parameter: str, key: str, kind: Any) -> Any:
    deleting = _deleting(backend_of(self).records, parameter)
    name = _name(self, parameter)
    if name in deleting:
        return ActionResult({key: [deleting[name]]})
    answer = describe(self)
    if not name and deleting:
        filters = {one["Name"]: one["Values"] for one in self.params.get("Filters", [])}
        found = self.backend._filter_resources(deleting, filters, kind) if filters else deleting
        answer._result[key] = [*answer._result[key], *found.values()]
    return answer


def _refuse_deleting(self: RDSResponse, *, parameter: str, creates: bool = False) -> None:
    name = _name(self, parameter)
    if name in _deleting(backend_of(self).records, parameter):
        code = (_EXISTS_CODES if creates else _STATE_CODES)[parameter]
        raise RDSClientError(code, f"{name} is being deleted.")


def _check_backup(self: RDSResponse) -> None:
    """moto: takes a snapshot of a cluster in any status."""
    cluster = backend_of(self).records.clusters.get(_name(self, CLUSTER))
    if cluster is not None and (cluster.transitional_status or cluster.forced_status):
        raise InvalidDBClusterStateFault(
            f"DbCluster {cluster.db_cluster_identifier} is in {cluster.status} state but expected it to be one of available."
        )


# -- faults -------------------------------------------------------------------------------------------------------------------


def _resources() -> Iterator[Resource]:
    for backend in backends():
        records = backend.records
        yield from list(records.clusters.values())
        yield from list(records.instances.values())
        for parameter in (CLUSTER, INSTANCE):
            yield from list(_deleting(records, parameter).values())


def hang(identifier: str, status: str) -> None:
    """Keep a resource in a status: from now on if it is in it, else the next time it enters it."""
    name, status = identifier.lower(), statuses.check_word(status)
    for resource in _resources():
        if _identifier(resource) == name and resource.transitional_status == status:
            resource.transition = Transition(status, math.inf)
            return
    controls.settings["hangs"] = {**controls.settings["hangs"], name: status}


def force_status(identifier: str, status: str) -> None:
    """Show a status, whatever the servers do."""
    name, status = identifier.lower(), statuses.check_word(status)
    named = [one for one in _resources() if _identifier(one) == name]
    if not named:
        raise InputError(f"identifier={name!r}: this sandbox has no DB cluster and no DB instance of that name.")
    words: Collection[str] = ()
    for resource in named:
        words = INSTANCE_WORDS if isinstance(resource, AuroraInstance) else CLUSTER_WORDS
        if status in words:
            resource.forced_status = "" if status == "available" else status
            return
    raise InputError(f"{name} never has the status {status!r}: known for it are {', '.join(words)}.")


def release(identifier: str | None = None) -> None:
    """End hangs and forced statuses, of one resource or without a name of all."""
    name = (identifier or "").lower()
    hangs = controls.settings["hangs"]
    controls.settings["hangs"] = {one: status for one, status in hangs.items() if name and one != name}
    for resource in _resources():
        if name in ("", _identifier(resource)):
            resource.forced_status = ""
            if resource.transition is not None and resource.transition.until == math.inf:
                resource.transition = None


def shorten(_: Any) -> None:
    """A shorter time ends what has lasted longer; a longer one counts from the next status on."""
    for resource in _resources():
        now = resource.transition
        if now is not None and now.until < math.inf:
            resource.transition = replace(now, until=min(now.until, now.since + _seconds(now.status)))


ACTS: dict[str, Callable[..., None]] = {"hang": hang, "become": force_status, "release": release}


_CREATE_CLUSTER = ("create_db_cluster", "restore_db_cluster_to_point_in_time", "restore_db_cluster_from_snapshot")
_OF_CLUSTER = ("modify_db_cluster", "delete_db_cluster", "failover_db_cluster", "start_db_cluster", "stop_db_cluster", "create_db_cluster_snapshot", "create_db_instance")  # fmt: skip
_OF_INSTANCE = ("modify_db_instance", "delete_db_instance", "reboot_db_instance")
# Refused calls change no status: the checks come first, and what an operation leads to is the innermost.
LAYERS = (
    before("create_db_cluster_snapshot", _check_backup),
    *(before(operation, partial(_refuse_deleting, parameter=INSTANCE)) for operation in _OF_INSTANCE),
    *(before(operation, partial(_refuse_deleting, parameter=CLUSTER)) for operation in _OF_CLUSTER),
    before("create_db_instance", partial(_refuse_deleting, parameter=INSTANCE, creates=True)),
    *(before(operation, partial(_refuse_deleting, parameter=CLUSTER, creates=True)) for operation in _CREATE_CLUSTER),
    before("delete_db_cluster", _refuse_delete_in_transition),
    around(
        "describe_db_clusters",
        partial(_describe_deleting, parameter=CLUSTER, key="DBClusters", kind=models.DBCluster),
    ),
    around(
        "describe_db_instances",
        partial(_describe_deleting, parameter=INSTANCE, key="DBInstances", kind=models.DBInstance),
    ),
    around("delete_db_cluster", partial(_keep_deleting, parameter=CLUSTER)),
    around("delete_db_instance", partial(_keep_deleting, parameter=INSTANCE)),
    *(
        around(operation, partial(_follow, steps=steps, key=_ANSWERS.get(operation)))
        for operation, steps in _STEPS.items()
    ),
)
