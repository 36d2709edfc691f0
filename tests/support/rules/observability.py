"""Alarms, metric math, logs, the two services that moto lacks, and S3's conditional writes."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from common import soon

from rules.account import ACCEPTED, BROKEN, Account, Rule, call

METRIC = {"Namespace": "Rules", "MetricName": "Load"}
STAT = {"Id": "m1", "MetricStat": {"Metric": METRIC, "Period": 60, "Stat": "Average"}}
ALARM = {"ComparisonOperator": "GreaterThanThreshold", "Threshold": 80.0, "EvaluationPeriods": 1, "Period": 60, "Statistic": "Average"}  # fmt: skip
MISSING = {"Namespace": "Rules", "MetricName": "Nothing"}


def queries(*more: dict[str, Any], **stat: Any) -> Callable[[Account], Any]:
    """The question what GetMetricData answers for a metric that was 40 in one minute, and expressions on it."""

    def ask(at: Account) -> Any:
        minute = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=3)
        at.cloudwatch.put_metric_data(
            Namespace="Rules", MetricData=[{"MetricName": "Load", "Value": 40.0, "Timestamp": minute}]
        )
        asked = [STAT | {"MetricStat": STAT["MetricStat"] | stat}, *more]
        window = {"StartTime": minute - timedelta(minutes=2), "EndTime": minute + timedelta(minutes=3)}
        code = at.answer(at.cloudwatch.get_metric_data, MetricDataQueries=asked, **window)
        if code != ACCEPTED:
            return code
        found = at.cloudwatch.get_metric_data(MetricDataQueries=asked, **window)["MetricDataResults"]
        return found[-1]["Values"][-1:]

    return ask


def expression(text: str) -> Callable[[Account], Any]:
    return queries({"Id": "e1", "Expression": text})


def alarm(at: Account, **change: Any) -> str:
    name = at.name("alarm")
    at.cloudwatch.put_metric_alarm(**{"AlarmName": name} | MISSING | ALARM | change)
    return name


def state(at: Account, name: str) -> str:
    return at.cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["StateValue"]


def breached(at: Account) -> str:
    """The state of an alarm whose missing data breaches, once it has had time to be evaluated."""
    name = alarm(at, TreatMissingData="breaching")
    return soon("ALARM", lambda: state(at, name), seconds=20)


def notified(at: Account) -> int:
    """How many messages the topic of an alarm has sent after its state was set by hand."""
    topic, queue = at.sns.create_topic(Name="alarmed")["TopicArn"], at.sqs.create_queue(QueueName="alarmed")["QueueUrl"]
    arn = at.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    at.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    name = alarm(at, TreatMissingData="notBreaching", AlarmActions=[topic])
    at.cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="a drill")
    return len(at.sqs.receive_message(QueueUrl=queue).get("Messages", []))


def log_file(at: Account) -> dict[str, Any]:
    return at.rds.describe_db_log_files(DBInstanceIdentifier=f"{at.single}-1")["DescribeDBLogFiles"][0]


def slow_logs(at: Account) -> Any:
    """How many log files there are of a name that none has."""
    asked = {"DBInstanceIdentifier": f"{at.single}-1", "FilenameContains": "slow"}
    code = at.answer(at.rds.describe_db_log_files, **asked)
    return len(at.rds.describe_db_log_files(**asked)["DescribeDBLogFiles"]) if code == ACCEPTED else code


def exported(at: Account) -> bool:
    """Whether the log group of a cluster that exports its log comes to be."""
    wanted = f"/aws/rds/cluster/{at.base}/postgresql"

    def groups() -> bool:
        found = at.logs.describe_log_groups(logGroupNamePrefix=wanted)["logGroups"]
        return [one["logGroupName"] for one in found] == [wanted]

    return soon(True, groups, seconds=20)


def portion(at: Account) -> str:
    return at.answer(
        at.rds.download_db_log_file_portion,
        DBInstanceIdentifier=f"{at.single}-1",
        LogFileName=log_file(at)["LogFileName"],
    )


def metadata(at: Account) -> str:
    """GetResourceMetadata of an instance that has Insights on."""
    resource = at.instance(f"{at.base}-1")["DbiResourceId"]
    return at.answer(at.pi.get_resource_metadata, ServiceType="RDS", Identifier=resource)


def load(**change: Any) -> Callable[[Account], str]:
    """The question what GetResourceMetrics answers for an instance's load of the last minutes."""

    def ask(at: Account) -> str:
        now = datetime.now(UTC)
        asked = {
            "ServiceType": "RDS",
            "Identifier": at.instance(f"{at.base}-1")["DbiResourceId"],
            "StartTime": now - timedelta(minutes=5),
            "EndTime": now,
            "MetricQueries": [{"Metric": "db.load.avg"}],
        }
        return at.answer(at.pi.get_resource_metrics, **asked | change)

    return ask


def by(group: str, **limit: int) -> dict[str, Any]:
    return {"MetricQueries": [{"Metric": "db.load.avg", "GroupBy": {"Group": group} | limit}]}


def kept_state(at: Account) -> str:
    """The state of an alarm that was in ALARM and then changed; its data is missing and to be ignored."""
    name = alarm(at, TreatMissingData="ignore")
    at.cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="a drill")
    at.cloudwatch.put_metric_alarm(**{"AlarmName": name, "TreatMissingData": "ignore"} | MISSING | ALARM)
    return state(at, name)


def published(at: Account) -> str:
    """What a subscriber is told of a deletion: the event's id."""
    topic, queue = at.sns.create_topic(Name="told")["TopicArn"], at.sqs.create_queue(QueueName="told")["QueueUrl"]
    arn = at.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    at.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    at.rds.create_event_subscription(
        SubscriptionName="told", SnsTopicArn=topic, SourceType="db-cluster", EventCategories=["deletion"], Enabled=True
    )
    at.rds.delete_db_cluster(DBClusterIdentifier=at.cluster(), SkipFinalSnapshot=True)
    found = at.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
    bodies = [json.loads(one["Body"])["Message"] for one in found]
    return next((json.loads(one)["Event ID"].rpartition("#")[2] for one in bodies if one.startswith("{")), "nothing")


def puts(**condition: Any) -> Callable[[Account], str]:
    """The question whether a key that is there is written."""

    def ask(at: Account) -> str:
        at.s3.put_object(Bucket=at.bucket, Key="kept", Body=b"1")
        return at.answer(at.s3.put_object, Bucket=at.bucket, Key="kept", Body=b"2", **condition)

    return ask


def copies(**condition: Any) -> Callable[[Account], str]:
    def ask(at: Account) -> str:
        for key in ("kept", "other"):
            at.s3.put_object(Bucket=at.bucket, Key=key, Body=b"1")
        source = {"Bucket": at.bucket, "Key": "other"}
        return at.answer(at.s3.copy_object, Bucket=at.bucket, Key="kept", CopySource=source, **condition)

    return ask


def completes(**condition: Any) -> Callable[[Account], str]:
    def ask(at: Account) -> str:
        key = {"Bucket": at.bucket, "Key": "kept"}
        at.s3.put_object(Body=b"1", **key)
        upload = key | {"UploadId": at.s3.create_multipart_upload(**key)["UploadId"]}
        part = {"PartNumber": 1, "ETag": at.s3.upload_part(PartNumber=1, Body=b"2", **upload)["ETag"]}
        return at.answer(at.s3.complete_multipart_upload, MultipartUpload={"Parts": [part]}, **upload, **condition)

    return ask


def deletes_whatever_is_there(at: Account) -> str:
    at.s3.put_object(Bucket=at.bucket, Key="lock", Body=b"1")
    return at.answer(at.s3.delete_object, Bucket=at.bucket, Key="lock", IfMatch="*")


WRONG = '"00000000000000000000000000000000"'
PRODUCTS = {"ServiceCode": "AmazonRDS", "Filters": [{"Type": "TERM_MATCH", "Field": "usagetype", "Value": "APN1-Aurora:ServerlessV2Usage"}]}  # fmt: skip
DATA, WRITES = "GetMetricData", "How to prevent object overwrites with conditional writes"
RULES = [
    Rule("an alarm begins without a verdict", lambda at: state(at, alarm(at)), "OK", "INSUFFICIENT_DATA", "PutMetricAlarm"),
    Rule("alarms are evaluated", breached, "OK", "ALARM", "Configuring how CloudWatch alarms treat missing data"),
    Rule("alarms have a history", lambda at: at.answer(at.cloudwatch.describe_alarm_history, AlarmName=alarm(at)), BROKEN, ACCEPTED, "DescribeAlarmHistory"),
    Rule("a state set by hand runs the actions", notified, 0, 1, "SetAlarmState"),
    Rule("a changed alarm keeps its state", kept_state, "OK", "ALARM", "PutMetricAlarm"),
    Rule("events are published", published, "nothing", "RDS-EVENT-0171", "Amazon RDS event categories and event messages for Aurora"),
    Rule("an expression is computed", expression("m1 * 2"), [], [80.0], "Using math expressions with CloudWatch metrics"),
    Rule("an expression that cannot be computed is refused", expression("ANOMALY_DETECTION_BAND(nothing)"), [], "ValidationError", DATA),
    Rule("a percentile is computed", queries(Stat="p95"), BROKEN, [40.0], DATA),
    Rule("a statistic must exist", queries(Stat="Mean"), BROKEN, "ValidationError", "MetricStat"),
    Rule("a period is a whole number of minutes", queries(Period=61), [40.0], "ValidationError", "MetricStat"),
    Rule("an exported log has a log group", exported, False, True, "Publishing Aurora PostgreSQL logs to Amazon CloudWatch Logs"),
    Rule("log files are found by their name", slow_logs, BROKEN, 0, "DescribeDBLogFiles"),
    Rule("a log file can be read", portion, BROKEN, ACCEPTED, "DownloadDBLogFilePortion"),
    Rule("a log file must exist", lambda at: at.answer(at.rds.download_db_log_file_portion, DBInstanceIdentifier=f"{at.single}-1", LogFileName="error/none.log"), BROKEN, "DBLogFileNotFoundFault", "DownloadDBLogFilePortion"),
    Rule("Performance Insights answer", metadata, BROKEN, ACCEPTED, "GetResourceMetadata"),
    Rule("Performance Insights know their instances", call("pi.get_resource_metadata", ServiceType="RDS", Identifier="db-NONE"), BROKEN, "NotAuthorizedException", "zalando/rds-health#6"),
    Rule("load is told", load(), BROKEN, ACCEPTED, "GetResourceMetrics"),
    Rule("load is grouped by known groups", load(**by("db.weather")), BROKEN, "InvalidArgumentException", "DimensionGroup"),
    Rule("load is grouped into 25 at most", load(**by("db.wait_event", Limit=26)), BROKEN, "InvalidArgumentException", "DimensionGroup"),
    Rule("a period is one of five", load(PeriodInSeconds=61), BROKEN, "InvalidArgumentException", "GetResourceMetrics"),
    Rule("fifteen queries are the most", load(MetricQueries=[{"Metric": "db.load.avg"}] * 16), BROKEN, "InvalidArgumentException", "GetResourceMetrics"),
    Rule("a counter needs its statistic", load(MetricQueries=[{"Metric": "db.User.numbackends"}]), BROKEN, "InvalidArgumentException", "awslabs/mcp#2216"),
    Rule("load is kept for seven days", load(StartTime=datetime.now(UTC) - timedelta(days=20)), BROKEN, "InvalidArgumentException", "GetResourceMetrics"),
    Rule("the service type is RDS", load(ServiceType="AURORA"), BROKEN, "InvalidArgumentException", "GetResourceMetrics"),
    Rule("the price list answers", call("pricing.get_products", **PRODUCTS), BROKEN, ACCEPTED, "GetProducts"),
    Rule("the price list knows its services", call("pricing.get_products", ServiceCode="AmazonNothing"), BROKEN, "InvalidParameterException", "GetProducts; the code is not documented"),
    Rule("the price list knows its fields", call("pricing.get_products", ServiceCode="AmazonRDS", Filters=[{"Type": "TERM_MATCH", "Field": "colour", "Value": "red"}]), BROKEN, "InvalidParameterException", "GetProducts; the code is not documented"),
    Rule("the price list knows its tokens", call("pricing.get_products", ServiceCode="AmazonRDS", NextToken="bm9uZQ=="), BROKEN, "InvalidNextTokenException", "GetProducts"),
    Rule("the price list tells its services", call("pricing.describe_services"), BROKEN, ACCEPTED, "DescribeServices"),
    Rule("the price list tells an attribute's values", call("pricing.get_attribute_values", ServiceCode="AmazonRDS", AttributeName="databaseEngine"), BROKEN, ACCEPTED, "GetAttributeValues"),
    Rule("a key that is there is not written over", puts(IfNoneMatch="*"), "PreconditionFailed", "PreconditionFailed", WRITES),
    Rule("a condition is an asterisk or nothing", puts(IfNoneMatch=WRONG), ACCEPTED, "NotImplemented", f"{WRITES}; the code is not documented"),
    Rule("a key that is there is not copied over", copies(IfNoneMatch="*"), ACCEPTED, "PreconditionFailed", WRITES),
    Rule("a key is copied over if it is what it was", copies(IfMatch=WRONG), ACCEPTED, "PreconditionFailed", WRITES),
    Rule("an upload is completed if the key is what it was", completes(IfMatch=WRONG), ACCEPTED, "PreconditionFailed", WRITES),
    Rule("a key is deleted if there is one", deletes_whatever_is_there, "PreconditionFailed", ACCEPTED, "How to perform conditional deletes"),
]  # fmt: skip
