"""Which operation takes what through which status, and what is refused meanwhile; see `statuses` for how a status lasts.

moto alone: nothing is ever on its way. What is deleted stays described as "deleting" for its time, apart from what lives, so that
neither a server nor a sampler finds it again.
"""

import copy
import math
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import moto.rds.models as models
from moto.core import DEFAULT_ACCOUNT_ID
from moto.core.responses import ActionResult
from moto.rds.exceptions import InvalidDBClusterStateFault, RDSClientError
from moto.rds.responses import RDSResponse

from aurora_ops.core.errors import InputError
from aurora_ops.sandbox import statuses
from aurora_ops.sandbox.rds.models import AuroraCluster, AuroraInstance
from aurora_ops.sandbox.requests import controls
from aurora_ops.sandbox.requests.layers import Method, around, before
from aurora_ops.sandbox.statuses import ALL, CLUSTER_WORDS, INSTANCE_WORDS, Phase

CLUSTER, INSTANCE = "DBClusterIdentifier", "DBInstanceIdentifier"
_STATE_CODES = {CLUSTER: "InvalidDBClusterStateFault", INSTANCE: "InvalidDBInstanceState"}
_EXISTS_CODES = {CLUSTER: "DBClusterAlreadyExistsFault", INSTANCE: "DBInstanceAlreadyExists"}
Resource = AuroraCluster | AuroraInstance


def _name(self: RDSResponse, parameter: str) -> str:
    return str(self.params.get(parameter) or "").rpartition(":")[2].lower()


def _find(backend: Any, parameter: str, name: str) -> Any:
    return (backend.clusters if parameter == CLUSTER else backend.databases).get(name)


def departing(backend: Any, parameter: str) -> dict[str, Any]:
    """What is being deleted, by identifier. What is gone by now is forgotten here."""
    leaving: dict[str, dict[str, Any]] = vars(backend).setdefault("departing", {CLUSTER: {}, INSTANCE: {}})
    for name in [name for name, one in leaving[parameter].items() if not statuses.passing(one)]:
        leaving[parameter].pop(name, None)
    return leaving[parameter]


def _until(name: str, status: str) -> float:
    """Until when a status lasts that begins now. A hang is for one time."""
    if controls.settings["hangs"].get(name) == status:
        controls.settings["hangs"].pop(name, None)
        return math.inf
    return time.time() + _seconds(status)


def _seconds(status: str) -> float:
    seconds = controls.settings["seconds"]
    return float(seconds.get(status, seconds.get(ALL, 0)))


def enter(resource: Any, name: str, status: str) -> None:
    """Let a resource pass through a status, for as long as it takes."""
    if (until := _until(name, status)) > time.time():
        resource.phase = Phase(status, until, time.time())


# -- which operation leads where ------------------------------------------------------------------------------------------

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


_STEPS: dict[str, Any] = {
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
        shown.phase = Phase("creating", math.inf)
        answer._result[key] = shown
    for parameter, status in steps(self) if callable(steps) else steps:
        for resource in _meant(self, parameter):
            enter(resource, _identifier(resource), status)
    return answer


def _meant(self: RDSResponse, parameter: str) -> list[Any]:
    """The resource that a request names, or every member of the cluster that it names."""
    own = _find(self.backend, parameter, _name(self, parameter))
    if own is None and parameter == INSTANCE:
        cluster = _find(self.backend, CLUSTER, _name(self, CLUSTER))
        return list(cluster._members) if cluster is not None else []
    return [own] if own is not None else []


def _identifier(resource: Resource) -> str:
    return str(getattr(resource, "db_instance_identifier", None) or resource.db_cluster_identifier)


# -- deleting ---------------------------------------------------------------------------------------------------------------


def _refuse_delete_in_transition(self: RDSResponse) -> None:
    cluster = _find(self.backend, CLUSTER, _name(self, CLUSTER))
    if cluster is not None and statuses.passing(cluster):  # moto: deletes it
        raise InvalidDBClusterStateFault(
            f"DbCluster {cluster.db_cluster_identifier} is in {cluster.status} state but expected it to be one of available."
        )


def _keep_deleting(self: RDSResponse, delete: Method, *, parameter: str) -> Any:
    """What is deleted is described as "deleting" for its time."""
    name = _name(self, parameter)
    resource = _find(self.backend, parameter, name)
    answer = delete(self)
    until = _until(name, "deleting")
    if resource is not None and until > time.time():
        gone = copy.copy(resource)
        gone.phase, gone.became = Phase("deleting", until, time.time()), ""
        departing(self.backend, parameter)[name] = gone
    return answer


def _describe_deleting(self: RDSResponse, describe: Method, *, parameter: str, key: str, kind: Any) -> Any:
    leaving = departing(self.backend, parameter)
    name = _name(self, parameter)
    if name in leaving:
        return ActionResult({key: [leaving[name]]})
    answer = describe(self)
    if not name and leaving:
        filters = {one["Name"]: one["Values"] for one in self.params.get("Filters", [])}
        found = self.backend._filter_resources(leaving, filters, kind) if filters else leaving
        answer._result[key] = [*answer._result[key], *found.values()]
    return answer


def _refuse_deleting(self: RDSResponse, *, parameter: str, creates: bool = False) -> None:
    name = _name(self, parameter)
    if name in departing(self.backend, parameter):
        code = (_EXISTS_CODES if creates else _STATE_CODES)[parameter]
        raise RDSClientError(code, f"{name} is being deleted.")


def _check_backup(self: RDSResponse) -> None:
    """moto: takes a snapshot of a cluster in any status."""
    cluster = _find(self.backend, CLUSTER, _name(self, CLUSTER))
    if cluster is not None and (statuses.passing(cluster) or vars(cluster).get("became")):
        raise InvalidDBClusterStateFault(
            f"DbCluster {cluster.db_cluster_identifier} is in {cluster.status} state but expected it to be one of available."
        )


# -- faults -------------------------------------------------------------------------------------------------------------------


def _everything() -> Iterator[Resource]:
    for backend in models.rds_backends[DEFAULT_ACCOUNT_ID].values():
        yield from list(backend.clusters.values())
        yield from list(backend.databases.values())
        for parameter in (CLUSTER, INSTANCE):
            yield from list(departing(backend, parameter).values())


def hang(identifier: str, status: str) -> None:
    """From now on if the resource is in the status, else the next time it enters it."""
    name, status = identifier.lower(), statuses.check_word(status)
    for resource in _everything():
        if _identifier(resource) == name and statuses.passing(resource) == status:
            resource.phase = Phase(status, math.inf)
            return
    controls.settings["hangs"] = {**controls.settings["hangs"], name: status}


def become(identifier: str, status: str) -> None:
    """Show a status, whatever the servers do."""
    name, status = identifier.lower(), statuses.check_word(status)
    named = [one for one in _everything() if _identifier(one) == name]
    if not named:
        raise InputError(f"identifier={name!r}: this sandbox has no DB cluster and no DB instance of that name.")
    for resource in named:
        words = INSTANCE_WORDS if isinstance(resource, AuroraInstance) else CLUSTER_WORDS
        if status in words:
            resource.became = "" if status == "available" else status
            return
    raise InputError(f"{name} never has the status {status!r}: known for it are {', '.join(words)}.")


def release(identifier: str | None = None) -> None:
    """End what hangs and heal what became something; of one resource, or of all without a name."""
    name = (identifier or "").lower()
    hangs = controls.settings["hangs"]
    controls.settings["hangs"] = {one: status for one, status in hangs.items() if name and one != name}
    for resource in _everything():
        if name in ("", _identifier(resource)):
            resource.became = ""
            phase = vars(resource).get("phase")
            if phase is not None and phase.until == math.inf:
                resource.phase = None


def shorten(_: Any) -> None:
    """A shorter time ends what lasts longer already; a longer one counts from the next status on."""
    for resource in _everything():
        phase = vars(resource).get("phase")
        if phase is not None and phase.until < math.inf:
            resource.phase = replace(phase, until=min(phase.until, phase.since + _seconds(phase.status)))


ACTS = {"hang": hang, "become": become, "release": release}


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
