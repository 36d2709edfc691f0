"""Settings of clusters and instances that Aurora refuses and moto stores: passwords, windows, ports, Insights, monitoring, tags.

Rules: the API reference's constraints of CreateDBCluster, ModifyDBCluster, CreateDBInstance and ModifyDBInstance, and "Settings for
Aurora DB clusters". The reference names no code for a breach: AWS answers InvalidParameterValue for a value that is wrong by itself and
InvalidParameterCombination for one that does not go with another, and so do these.
"""

import re
from typing import Any

from moto.rds.exceptions import InvalidParameterCombination, InvalidParameterValue, RDSClientError
from moto.rds.responses import RDSResponse

from aurora_ops.core.engine import ENGINE
from aurora_ops.sandbox.rds.models import managed_key
from aurora_ops.sandbox.requests.layers import before

MOST_TAGS = 50
INTERVALS = (0, 1, 5, 10, 15, 30, 60)
RETENTIONS = (7, *(31 * months for months in range(1, 24)), 731)
ADVANCED_DAYS = 465
LOG_TYPES = ("postgresql", "instance", "iam-db-auth-error")
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY, _WEEK = 24 * 60, 7 * 24 * 60
_CLOCK = r"([01]\d|2[0-3]):([0-5]\d)"
_DAILY = re.compile(f"{_CLOCK}-{_CLOCK}")
_WEEKLY = re.compile(f"({'|'.join(_DAYS)}):{_CLOCK}-({'|'.join(_DAYS)}):{_CLOCK}")
_PASSWORD = re.compile(r"[!-~]{8,99}")
_USER = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
Window = tuple[int, int]  # the minute of the day or the week at which it begins, and how many minutes it lasts


def check_password(password: str | None) -> None:
    """8 to 99 printable characters but / " @ and space (the reference says 41, the Aurora guide 99)."""
    if password is not None and (not _PASSWORD.fullmatch(password) or set(password) & set('/"@')):
        raise InvalidParameterValue(
            "The parameter MasterUserPassword is not a valid password. It must have 8 to 99 printable ASCII characters, "
            "none of them '/', '@', '\"' or a space."
        )


def backup_window(text: str) -> Window:
    """A daily window, hh24:mi-hh24:mi in UTC, of at least 30 minutes."""
    found = _DAILY.fullmatch(text)
    if not found:
        raise InvalidParameterValue(f"Invalid backup window {text}: it must be written hh24:mi-hh24:mi.")
    hour, minute, to_hour, to_minute = map(int, found.groups())
    begin = hour * 60 + minute
    return _long_enough("backup", text, (begin, (to_hour * 60 + to_minute - begin) % _DAY))


def maintenance_window(text: str) -> Window:
    """A weekly window, ddd:hh24:mi-ddd:hh24:mi in UTC, of at least 30 minutes and less than a day."""
    found = _WEEKLY.fullmatch(text.lower())
    if not found:
        raise InvalidParameterValue(f"Invalid maintenance window {text}: it must be written ddd:hh24:mi-ddd:hh24:mi.")
    day, hour, minute, to_day, to_hour, to_minute = found.groups()
    begin = _DAYS.index(day) * _DAY + int(hour) * 60 + int(minute)
    end = _DAYS.index(to_day) * _DAY + int(to_hour) * 60 + int(to_minute)
    window = _long_enough("maintenance", text, (begin, (end - begin) % _WEEK))
    if window[1] >= _DAY:
        raise InvalidParameterValue(f"Maintenance window {text} must be less than 24 hours.")
    return window


def _long_enough(kind: str, text: str, window: Window) -> Window:
    if window[1] < 30:
        raise InvalidParameterValue(f"The {kind} window {text} must be at least 30 minutes.")
    return window


def check_windows(backup: str | None, maintenance: str | None) -> None:
    """Each by itself, and that they never overlap."""
    daily = backup_window(backup) if backup else None
    weekly = maintenance_window(maintenance) if maintenance else None
    if daily is None or weekly is None:
        return
    for day in range(7):
        begin = day * _DAY + daily[0]
        if (weekly[0] - begin) % _WEEK < daily[1] or (begin - weekly[0]) % _WEEK < weekly[1]:
            raise InvalidParameterCombination(
                f"The backup window {backup} and maintenance window {maintenance} must not overlap."
            )


def check_tags(tags: list[dict[str, str]], present: list[dict[str, str]] = []) -> None:  # noqa: B006 - read only
    """At most fifty, and none of AWS's own."""
    for tag in tags:
        key, value = str(tag.get("Key") or ""), str(tag.get("Value") or "")
        if key.lower().startswith("aws:"):
            raise InvalidParameterValue(f"The tag key {key} is reserved: keys must not begin with aws:.")
        if not 1 <= len(key) <= 128 or len(value) > 256:
            raise InvalidParameterValue(
                f"The tag {key!r} must have a key of 1 to 128 and a value of at most 256 characters."
            )
    count = len({str(tag.get("Key")) for tag in (*tags, *present)})
    if count > MOST_TAGS:
        raise InvalidParameterValue(f"A resource has at most {MOST_TAGS} tags; these would be {count}.")


def _check_insights(wanted: Any, now: Any = None) -> None:
    """`now` is the resource as it is, which a change merges with."""
    retention = wanted.get("PerformanceInsightsRetentionPeriod")
    if retention is not None and int(retention) not in RETENTIONS:
        raise InvalidParameterValue(
            f"Invalid Performance Insights retention period: {retention}. Valid values are 7, months * 31 up to 23 months, and 731."
        )
    if wanted.get("DatabaseInsightsMode") != "advanced":
        return
    enabled = wanted.get("EnablePerformanceInsights")
    enabled = getattr(now, "performance_insights_enabled", False) if enabled is None else enabled
    days = retention or getattr(now, "performance_insights_retention_period", None) or 7
    if not enabled or int(days) < ADVANCED_DAYS:
        raise InvalidParameterCombination(
            f"DatabaseInsightsMode advanced needs Performance Insights enabled with a retention of at least {ADVANCED_DAYS} days."
        )


def _check_insights_key(wanted: Any, cluster: Any) -> None:
    """The key of Performance Insights stays while they are on. A change to advanced that names none means the account's own key.

    hashicorp/terraform-provider-aws#42981 has the words.
    """
    if not cluster.performance_insights_enabled:
        return
    means_own = managed_key(cluster.backend) if wanted.get("DatabaseInsightsMode") == "advanced" else None
    key = wanted.get("PerformanceInsightsKMSKeyId") or means_own
    if key and str(key).rpartition("/")[2] != str(cluster.performance_insights_kms_key_id).rpartition("/")[2]:
        raise InvalidParameterCombination("You can't change your Performance Insights KMS key.")


def _check_monitoring(wanted: Any, now: Any = None) -> None:
    interval, role = wanted.get("MonitoringInterval"), wanted.get("MonitoringRoleArn")
    if interval is not None and int(interval) not in INTERVALS:
        raise InvalidParameterValue(
            f"Invalid MonitoringInterval {interval}. Valid values: {', '.join(map(str, INTERVALS))}."
        )
    if interval and not (role or getattr(now, "monitoring_role_arn", None)):
        raise InvalidParameterCombination(
            "A MonitoringRoleARN value is required if you specify a MonitoringInterval value other than 0."
        )
    if role and not interval and not getattr(now, "monitoring_interval", 0):
        raise InvalidParameterCombination(
            "A MonitoringInterval other than 0 is required if you specify a MonitoringRoleARN value."
        )


def _check_common(wanted: Any) -> None:
    port = wanted.get("Port")
    if port is not None and not 1150 <= int(port) <= 65535:
        raise InvalidParameterValue(f"Invalid port {port}: it must be between 1150 and 65535.")
    storage = wanted.get("StorageType")
    if storage not in (None, "", "aurora", "aurora-iopt1"):
        raise RDSClientError("StorageTypeNotSupported", f"Storage type {storage} is not supported for {ENGINE}.")
    exports = wanted.get("CloudwatchLogsExportConfiguration") or {}
    for kind in (*(wanted.get("EnableCloudwatchLogsExports") or ()), *(exports.get("EnableLogTypes") or ())):
        if kind not in LOG_TYPES:
            raise InvalidParameterCombination(f"You cannot use the log types '{kind}' with engine {ENGINE}.")
    check_tags(wanted.get("Tags") or [])


def _check_new_cluster(self: RDSResponse) -> None:
    wanted = self.params
    if wanted.get("EngineMode") not in (None, "", "provisioned"):  # v1 ended in 2025
        raise InvalidParameterValue(f"The engine mode {wanted['EngineMode']} you requested is currently unavailable.")
    user = wanted.get("MasterUsername")
    if user is not None and not _USER.fullmatch(user):
        raise InvalidParameterValue(
            f"The parameter MasterUsername is not valid: {user}. It begins with a letter and has at most 63 letters, digits and underscores."
        )
    if wanted.get("ManageMasterUserPassword") and wanted.get("MasterUserPassword"):
        raise InvalidParameterCombination("MasterUserPassword cannot be given together with ManageMasterUserPassword.")
    check_password(wanted.get("MasterUserPassword"))
    check_windows(wanted.get("PreferredBackupWindow"), wanted.get("PreferredMaintenanceWindow"))
    _check_insights(wanted)
    _check_monitoring(wanted)
    _check_common(wanted)


def _check_changed_cluster(self: RDSResponse) -> None:
    wanted = self.params
    cluster = self.backend.clusters.get(str(wanted["DBClusterIdentifier"]).rpartition(":")[2].lower())
    if cluster is None:
        return  # the operation itself refuses it
    if wanted.get("NewDBClusterIdentifier"):  # moto: renames the record and loses its members
        raise InvalidParameterCombination("this sandbox does not rename clusters yet; AWS does")
    manages = wanted.get("ManageMasterUserPassword")
    manages = cluster.manage_master_user_password if manages is None else manages
    if manages and wanted.get("MasterUserPassword"):
        raise InvalidParameterCombination("MasterUserPassword cannot be given: it is managed in Secrets Manager.")
    check_password(wanted.get("MasterUserPassword"))
    days = wanted.get("BackupRetentionPeriod")
    if days is not None and not 1 <= int(days) <= 35:
        raise InvalidParameterValue(f"Invalid backup retention period: {days}. Must be between 1 and 35.")
    if wanted.get("PreferredBackupWindow") or wanted.get("PreferredMaintenanceWindow"):
        check_windows(
            wanted.get("PreferredBackupWindow") or cluster.preferred_backup_window,
            wanted.get("PreferredMaintenanceWindow") or cluster.preferred_maintenance_window,
        )
    _check_insights(wanted, cluster)
    _check_insights_key(wanted, cluster)
    _check_monitoring(wanted, cluster)
    _check_common(wanted)


# What belongs to the cluster in Aurora; the reference: "This setting doesn't apply to Amazon Aurora DB instances."
_OF_THE_CLUSTER = ("MasterUsername", "MasterUserPassword", "ManageMasterUserPassword", "BackupRetentionPeriod")


def _check_instance(self: RDSResponse) -> None:
    wanted = self.params
    now = self.backend.databases.get(str(wanted["DBInstanceIdentifier"]).lower())
    for name in _OF_THE_CLUSTER:
        if wanted.get(name) is not None:
            raise InvalidParameterCombination(
                f"The requested DB Instance will be a member of a DB Cluster. Set {name} for the DB Cluster."
            )
    tier = wanted.get("PromotionTier")
    if tier is not None and not 0 <= int(tier) <= 15:
        raise InvalidParameterValue(f"Invalid promotion tier {tier}: it must be between 0 and 15.")
    if wanted.get("PreferredMaintenanceWindow"):
        maintenance_window(wanted["PreferredMaintenanceWindow"])
    _check_insights(wanted, now)
    _check_monitoring(wanted, now)
    _check_common(wanted)


def _check_new_instance(self: RDSResponse) -> None:
    wanted = self.params
    cluster = self.backend.clusters.get(str(wanted.get("DBClusterIdentifier")).lower())
    if cluster is not None and wanted.get("Engine") != cluster.engine:
        raise InvalidParameterCombination(
            f"The engine name requested for your DB instance ({wanted.get('Engine')}) doesn't match the engine name of your DB cluster ({cluster.engine})."
        )
    version = wanted.get("EngineVersion")
    if (
        cluster is not None
        and version
        and version not in (cluster.engine_version, cluster.engine_version.split(".")[0])
    ):
        raise InvalidParameterCombination(
            f"The engine version that you requested for your DB instance ({version}) does not match the engine version of your DB cluster ({cluster.engine_version})."
        )
    _check_instance(self)


def _check_added_tags(self: RDSResponse) -> None:
    check_tags(self.params.get("Tags") or [], self.backend.list_tags_for_resource(self.params["ResourceName"]))


def _check_tags_of_new(self: RDSResponse) -> None:
    check_tags(self.params.get("Tags") or [])


LAYERS = (
    before("create_db_cluster", _check_new_cluster),
    before("modify_db_cluster", _check_changed_cluster),
    before("create_db_instance", _check_new_instance),
    before("modify_db_instance", _check_instance),
    before("add_tags_to_resource", _check_added_tags),
    before("restore_db_cluster_to_point_in_time", _check_tags_of_new),
    before("create_db_cluster_snapshot", _check_tags_of_new),
    before("create_db_subnet_group", _check_tags_of_new),
    before("create_db_parameter_group", _check_tags_of_new),
    before("create_db_cluster_parameter_group", _check_tags_of_new),
)
