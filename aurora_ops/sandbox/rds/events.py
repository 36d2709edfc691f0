"""RDS's event history and event subscriptions.

Ids, categories and messages are those of "Amazon RDS event categories and event messages for Aurora". AWS delivers on a best
effort basis and late; here an event is there when the call returns. moto keeps events of instances only and publishes none.
"""

import json
from collections.abc import Callable, Container
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.responses import ActionResult
from moto.rds.exceptions import InvalidParameterCombination, InvalidParameterValue, RDSClientError
from moto.rds.responses import RDSResponse
from moto.sns.models import sns_backends

from aurora_ops.sandbox.rds.backend import backend_of, of_region
from aurora_ops.sandbox.requests.layers import Method, after, around, instead
from aurora_ops.sandbox.services.sns import notify

KEPT_DAYS = 14
SUBJECT = "RDS Notification Message"
CATEGORIES = {
    "db-cluster": ("configuration change", "creation", "deletion", "failover", "failure", "maintenance", "notification"),
    "db-cluster-snapshot": ("backup", "notification"),
    "db-instance": ("availability", "backup", "configuration change", "creation", "deletion", "failover", "failure", "maintenance", "notification", "recovery", "restoration"),
    "db-parameter-group": ("configuration change",),
}  # fmt: skip
_ARN_TYPES = {
    "db-cluster": "cluster",
    "db-cluster-snapshot": "cluster-snapshot",
    "db-instance": "db",
    "db-parameter-group": "pg",
}
_LINKS = {"db-cluster": "dbcluster", "db-instance": "dbinstance"}


@dataclass(frozen=True)
class Event:
    """One event as DescribeEvents shows it; `event_id` shows in notifications only."""

    source_type: str
    source_identifier: str
    event_id: str
    category: str
    message: str
    region: str
    date: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def source_arn(self) -> str:
        """ARN of what the event is about."""
        kind = _ARN_TYPES[self.source_type]
        return f"arn:aws:rds:{self.region}:{DEFAULT_ACCOUNT_ID}:{kind}:{self.source_identifier}"

    def describe(self) -> dict[str, Any]:
        """An Event, by the API's names."""
        return {
            "SourceIdentifier": self.source_identifier,
            "SourceType": self.source_type,
            "Message": self.message,
            "EventCategories": [self.category],
            "Date": self.date,
            "SourceArn": self.source_arn,
        }

    def is_wanted_by(self, subscription: Any) -> bool:
        """Whether an event subscription is to be told."""
        return bool(
            subscription.enabled
            and subscription.source_type in (None, self.source_type)
            and (not subscription.source_ids or self.source_identifier in subscription.source_ids)
            and (not subscription.event_categories or self.category in subscription.event_categories)
        )


history: dict[str, list[Event]] = {}  # by region


def record(event: Event) -> None:
    """Keep the event and publish it to the subscriptions that want it."""
    known = history.setdefault(event.region, [])
    known.append(event)
    while known and known[0].date < datetime.now(UTC) - timedelta(days=KEPT_DAYS):
        known.pop(0)
    for one in list(of_region(event.region).event_subscriptions.values()):
        if event.is_wanted_by(one):
            attributes = {"EventID": event.event_id, "Resource": event.source_arn}
            notify(str(one.sns_topic_arn), SUBJECT, json.dumps(_message(event)), attributes)


def _message(event: Event) -> dict[str, str]:
    link = f"{_LINKS.get(event.source_type, 'event')}:id={event.source_identifier}"
    return {
        "Event Source": event.source_type,
        "Event Time": f"{event.date:%Y-%m-%d %H:%M:%S}.{event.date.microsecond // 1000:03d}",
        "Identifier Link": f"https://console.aws.amazon.com/rds/home?region={event.region}#{link}",
        "Source ID": event.source_identifier,
        "Source ARN": event.source_arn,
        "Event ID": f"http://docs.amazonwebservices.com/AmazonRDS/latest/UserGuide/USER_Events.html#{event.event_id}",
        "Event Message": event.message,
    }


Row = tuple[str, str, str, str, str]  # source type, source, event id, category, message


def _cluster(self: RDSResponse) -> str:
    return str(self.params["DBClusterIdentifier"]).rpartition(":")[2].lower()


def _instance(self: RDSResponse) -> str:
    return str(self.params["DBInstanceIdentifier"]).lower()


def _instance_created(self: RDSResponse) -> list[Row]:
    name = _instance(self)
    rows = [("db-instance", name, "RDS-EVENT-0005", "creation", "DB instance created.")]
    cluster = backend_of(self).records.instances[name].cluster
    if (
        cluster.data and len(cluster.members) == 1 and (bases := cluster.data.backups.bases)
    ):  # its first: now the backup was taken
        snapshot = bases[-1].name
        rows += [
            ("db-cluster-snapshot", snapshot, "RDS-EVENT-0168", "backup", "Creating automated cluster snapshot."),
            ("db-cluster-snapshot", snapshot, "RDS-EVENT-0169", "backup", "Automated cluster snapshot created."),
        ]
    return rows


def _cluster_modified(self: RDSResponse) -> list[Row]:
    name, rows = _cluster(self), []
    if self.params.get("MasterUserPassword") or self.params.get("RotateMasterUserPassword"):
        rows.append(("db-cluster", name, "RDS-EVENT-0016", "configuration change", "Reset master credentials."))
    cluster = backend_of(self).records.clusters[name]
    rows += [("db-cluster", name, event_id, "maintenance", message) for event_id, message in cluster.upgrade_events]
    cluster.upgrade_events = ()
    return rows


def _failed_over(self: RDSResponse) -> list[Row]:
    name = _cluster(self)
    writers = [one for one in backend_of(self).records.clusters[name].members if one.is_cluster_writer]
    to = writers[0].db_instance_identifier if writers else "?"
    return [
        ("db-cluster", name, "RDS-EVENT-0073", "failover", f"Started cross AZ failover to DB instance: {to}"),
        ("db-cluster", name, "RDS-EVENT-0071", "failover", f"Completed failover to DB instance: {to}"),
    ]


def _snapshot_created(self: RDSResponse) -> list[Row]:
    name = str(self.params["DBClusterSnapshotIdentifier"]).lower()
    return [
        ("db-cluster-snapshot", name, "RDS-EVENT-0074", "backup", "Creating manual cluster snapshot."),
        ("db-cluster-snapshot", name, "RDS-EVENT-0075", "backup", "Manual cluster snapshot created."),
    ]


def _group_modified(self: RDSResponse) -> list[Row]:
    group = self.params.get("DBParameterGroupName") or self.params.get("DBClusterParameterGroupName")
    return [
        (
            "db-parameter-group",
            str(group),
            "RDS-EVENT-0037",
            "configuration change",
            f"Updated parameter {one['ParameterName']} to {one.get('ParameterValue')} with apply method {one.get('ApplyMethod')}",
        )
        for one in (parameter.original_dict() for parameter in self.params.get("Parameters", []))
    ]


def _about(name: Callable[[RDSResponse], str], *rest: str) -> Callable[[RDSResponse], list[Row]]:
    return lambda self: [(rest[0], name(self), rest[1], rest[2], rest[3])]


_cluster_created = _about(_cluster, "db-cluster", "RDS-EVENT-0170", "creation", "DB cluster created.")
_OPERATIONS: dict[str, Callable[[RDSResponse], list[Row]]] = {
    "create_db_cluster": _cluster_created,
    "restore_db_cluster_to_point_in_time": _cluster_created,  # Aurora documents no event of its own for it
    "restore_db_cluster_from_snapshot": _cluster_created,
    "modify_db_cluster": _cluster_modified,
    "failover_db_cluster": _failed_over,
    "stop_db_cluster": _about(_cluster, "db-cluster", "RDS-EVENT-0150", "notification", "DB cluster stopped."),
    "start_db_cluster": _about(_cluster, "db-cluster", "RDS-EVENT-0151", "notification", "DB cluster started."),
    "delete_db_cluster": _about(_cluster, "db-cluster", "RDS-EVENT-0171", "deletion", "DB cluster deleted."),
    "create_db_instance": _instance_created,
    "reboot_db_instance": _about(_instance, "db-instance", "RDS-EVENT-0006", "availability", "DB instance restarted."),
    "delete_db_instance": _about(_instance, "db-instance", "RDS-EVENT-0003", "deletion", "DB instance deleted."),
    "create_db_cluster_snapshot": _snapshot_created,
    "modify_db_parameter_group": _group_modified,
    "modify_db_cluster_parameter_group": _group_modified,
}


def _record(self: RDSResponse, *, rows: Callable[[RDSResponse], list[Row]]) -> None:
    with suppress(KeyError):  # deleted meanwhile
        for kind, source, event_id, category, message in rows(self):
            record(Event(kind, source, event_id, category, message, self.region))


def _utc(moment: datetime | None) -> datetime | None:
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)


def _window(wanted: Any) -> tuple[datetime, datetime | None]:
    """The times that DescribeEvents asks for: the last hour where it names none."""
    start, end = _utc(wanted.get("StartTime")), _utc(wanted.get("EndTime"))
    if start is not None and end is not None and start > end:
        raise InvalidParameterValue("The start time must not be later than the end time.")
    minutes = timedelta(minutes=int(wanted.get("Duration") or 60))
    if start is None:
        return (end or datetime.now(UTC)) - minutes, end
    return start, start + minutes if end is None and wanted.get("Duration") else end


def describe_events(self: RDSResponse) -> ActionResult:
    """The last hour, or what was asked for. moto: everything ever, whatever time or category was asked for."""
    source, kind = self.params.get("SourceIdentifier"), self.params.get("SourceType")
    if source is not None and kind is None:
        raise InvalidParameterCombination("Cannot specify source identifier without source type")
    start, end = _window(self.params)
    categories = self.params.get("EventCategories") or []
    found = [
        one.describe()
        for one in history.get(self.region, [])
        if kind in (None, one.source_type)
        and source in (None, one.source_identifier)
        and start <= one.date
        and (end is None or one.date <= end)
        and (not categories or one.category in categories)
    ]
    return ActionResult({"Events": found})


def describe_event_categories(self: RDSResponse) -> ActionResult:
    """The categories that can be subscribed to. moto: HTTP 500."""
    wanted = self.params.get("SourceType")
    known = [
        {"SourceType": kind, "EventCategories": list(names)}
        for kind, names in CATEGORIES.items()
        if wanted in (None, kind)
    ]
    return ActionResult({"EventCategoriesMapList": known})


def _check_subscription(self: RDSResponse, kind: str | None) -> None:
    topic = self.params.get("SnsTopicArn")
    if topic is not None:
        region = topic.split(":")[3] if topic.count(":") == 5 else ""
        if not region or topic not in sns_backends[DEFAULT_ACCOUNT_ID][region].topics:
            raise RDSClientError("SNSTopicArnNotFound", f"SNS topic {topic} does not exist")
    if kind is None and self.params.get("SourceIds"):
        raise InvalidParameterCombination("SourceType must be provided with SourceIds")
    if kind is None and self.params.get("EventCategories"):
        raise InvalidParameterCombination("SourceType must be provided with EventCategories")
    for category in self.params.get("EventCategories") or []:
        if category not in CATEGORIES.get(kind or "", ()):
            raise RDSClientError("SubscriptionCategoryNotFound", f"{category} is no event category of {kind}")
    for source in self.params.get("SourceIds") or []:
        _check_source(self, kind, source)


def _check_source(self: RDSResponse, kind: str | None, source: str) -> None:
    """Refuse a cluster or an instance that does not exist; other sources are not looked up."""
    known: dict[str, Container[str]] = {"db-cluster": self.backend.clusters, "db-instance": self.backend.databases}
    if kind in known and source.lower() not in known[kind]:
        raise RDSClientError("SourceNotFound", f"Could not find source: {source}")


def create_event_subscription(self: RDSResponse, create: Method) -> ActionResult:
    """Check, create, and tell the topic so. moto: any topic and category, disabled unless told otherwise."""
    _check_subscription(self, self.params.get("SourceType"))
    answer: ActionResult = create(self)
    subscription = self.backend.event_subscriptions[self.params["SubscriptionName"]]
    subscription.enabled = self.params.get("Enabled") is not False
    notify(
        str(subscription.sns_topic_arn),
        SUBJECT,
        f"This is a message to notify that RDS will attempt to send you event notifications of type {subscription.source_type} to the topic {subscription.sns_topic_arn}",
    )
    return answer


def modify_event_subscription(self: RDSResponse) -> ActionResult:
    """Change what is given. moto: HTTP 500."""
    name = self.params["SubscriptionName"]
    (one,) = self.backend.describe_event_subscriptions(name)
    _check_subscription(self, self.params.get("SourceType") or one.source_type)
    for key, attribute in (
        ("SnsTopicArn", "sns_topic_arn"),
        ("SourceType", "source_type"),
        ("EventCategories", "event_categories"),
        ("Enabled", "enabled"),
    ):
        if self.params.get(key) is not None:
            setattr(one, attribute, self.params[key])
    return ActionResult({"EventSubscription": one})


def add_source_identifier_to_subscription(self: RDSResponse) -> ActionResult:
    """Add a source. moto: HTTP 500."""
    (one,) = self.backend.describe_event_subscriptions(self.params["SubscriptionName"])
    source = self.params["SourceIdentifier"].lower()
    _check_source(self, one.source_type, source)
    one.source_ids = [*(known for known in one.source_ids or [] if known != source), source]
    return ActionResult({"EventSubscription": one})


def remove_source_identifier_from_subscription(self: RDSResponse) -> ActionResult:
    """Remove a source, which may have been deleted. moto: HTTP 500."""
    (one,) = self.backend.describe_event_subscriptions(self.params["SubscriptionName"])
    source = self.params["SourceIdentifier"].lower()
    if source not in (one.source_ids or []):
        raise RDSClientError("SourceNotFound", f"Could not find source: {source}")
    one.source_ids = [known for known in one.source_ids if known != source]
    return ActionResult({"EventSubscription": one})


LAYERS = (
    *(after(operation, partial(_record, rows=rows)) for operation, rows in _OPERATIONS.items()),
    instead(describe_events),
    instead(describe_event_categories),
    around("create_event_subscription", create_event_subscription),
    instead(modify_event_subscription),
    instead(add_source_identifier_to_subscription),
    instead(remove_source_identifier_from_subscription),
)
