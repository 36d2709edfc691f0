"""Whether cluster and instances are in a state in which they take connections, as the RDS API tells it."""

from collections.abc import Iterator

from aurora_ops.aws.cluster import Cluster, Instance
from aurora_ops.aws.session import Session
from aurora_ops.diagnose.connection.looks import Look, finding, passed, skipped

CLUSTER, INSTANCE, PAUSE, CONNECTIONS = "cluster status", "instance status", "automatic pause", "connections"
# In these an instance answers; what they say about its storage or its settings is another matter.
_ANSWERING = {
    "available", "backing-up", "configuring-enhanced-monitoring", "configuring-iam-database-auth", "configuring-log-exports",
    "modifying", "renaming", "resetting-master-credentials", "storage-optimization", "storage-config-upgrade", "maintenance",
}  # fmt: skip
_MEND = {
    "stopped": "aws rds start-db-cluster --db-cluster-identifier {cluster}",
    "stopping": "wait until it is stopped, then: aws rds start-db-cluster --db-cluster-identifier {cluster}",
    "starting": "wait: aws rds wait db-cluster-available --db-cluster-identifier {cluster}",
    "failing-over": "wait: a fail-over ends within a minute or two, and clients have to connect anew; its cause stands in aws rds describe-events --source-type db-cluster --source-identifier {cluster} --duration 60",
    "rebooting": "wait: aws rds wait db-instance-available --db-instance-identifier {name}",
    "storage-full": "free the instance's local storage: end sessions that spill (sql/diagnostics/temporary_files), or give it more: a higher ceiling, then aws rds reboot-db-instance --db-instance-identifier {name}",
    "inaccessible-encryption-credentials": "enable the cluster's KMS key again: aws kms enable-key --key-id …; then aws rds start-db-cluster --db-cluster-identifier {cluster}",
    "incompatible-parameters": "set the parameter back to its default (aws rds reset-db-cluster-parameter-group), then aws rds reboot-db-instance --db-instance-identifier {name}",
}
_PAUSED, _RESUMED = "Successfully paused the DB instance.", "Successfully resumed the DB instance."
_LONGEST_MINUTES = 14 * 24 * 60  # as long as RDS keeps events
_EVENTS = "aws rds describe-events --source-type db-{kind} --source-identifier {name} --duration 1440"


def look(found: Cluster, wanted: Instance | None) -> Iterator[Look]:
    """The cluster's status, then that of the instance that the client is led to, or of the writer."""
    name = found.identifier
    if found.status in _ANSWERING:
        yield passed(CLUSTER, found.status)
    else:
        yield finding(CLUSTER, f"{name} is {found.status}", _mend(found.status, "cluster", name, name))
    if not found.instances:
        yield finding(
            INSTANCE,
            f"{name} has no instance, and a cluster without one has no server that could answer",
            f"aws rds create-db-instance --db-cluster-identifier {name} --db-instance-identifier {name}-1 "
            "--db-instance-class db.serverless --engine aurora-postgresql",
        )
        return
    one = wanted or next((one for one in found.instances if one.is_writer), None)
    if one is None:
        yield finding(INSTANCE, f"{name} has no writer", _EVENTS.format(kind="cluster", name=name))
    elif one.status in _ANSWERING:
        yield passed(INSTANCE, f"{one.identifier} is {one.status}")
    elif found.status in _ANSWERING:
        yield finding(
            INSTANCE, f"{one.identifier} is {one.status}", _mend(one.status, "instance", one.identifier, name)
        )
    else:
        yield skipped(INSTANCE, f"{one.identifier} is {one.status}, as its cluster is")


def _mend(status: str, kind: str, name: str, cluster: str) -> str:
    known = _MEND.get(status, f"see what happened: {_EVENTS}")
    return known.format(kind=kind, name=name, cluster=cluster)


def look_for_pause(session: Session, found: Cluster, one: Instance | None) -> Look:
    """Whether it sleeps: the first connection then waits until it has resumed."""
    if found.floor_acu > 0 or found.ceiling_acu == 0:
        return passed(PAUSE, "it cannot pause: its floor is above 0 ACU")
    if one is None:
        return skipped(PAUSE, "it has no instance")
    events = (
        session.client("rds")
        .get_paginator("describe_events")
        .paginate(SourceType="db-instance", SourceIdentifier=one.identifier, Duration=_LONGEST_MINUTES)
    )
    told = [event for page in events for event in page["Events"] if event["Message"] in (_PAUSED, _RESUMED)]
    if not told or told[-1]["Message"] == _RESUMED:
        return passed(PAUSE, "awake" + (f" since {told[-1]['Date']:%F %T} UTC" if told else ": no event of a pause"))
    return finding(
        PAUSE,
        f"{one.identifier} is paused since {told[-1]['Date']:%F %T} UTC: the first connection waits about 15 seconds, after a day 30 or more, until it has resumed",
        f"give clients a connect_timeout of 60 s and one retry; or keep it awake: aws rds modify-db-cluster --db-cluster-identifier {found.identifier} "
        f"--serverless-v2-scaling-configuration MinCapacity=0.5,MaxCapacity={found.ceiling_acu:g}",
    )


def latest_event(session: Session, one: Instance) -> str:
    """The latest event of the last hour of an instance, with its time; empty without one."""
    asked = {"SourceType": "db-instance", "SourceIdentifier": one.identifier, "Duration": 60}
    pages = session.client("rds").get_paginator("describe_events").paginate(**asked)
    told = [event for page in pages for event in page["Events"]]
    return f"{told[-1]['Message'].rstrip('.')} ({told[-1]['Date']:%F %T} UTC)" if told else ""
