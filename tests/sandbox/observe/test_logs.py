"""PostgreSQL's log through plain boto3: CloudWatch Logs for a cluster that exports it, and RDS's log file operations."""

import time
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from common import HANG, connect, create, describe, refused
from moto.logs.models import LogsBackend

from aurora_ops.sandbox.observe import log_retention

GROUP = "/aws/rds/cluster/logged/postgresql"
MARK = "no_such_table"
STATEMENT = "SELECT *\n  FROM no_such_table"


@pytest.fixture(scope="module")
def logs(aws):
    return aws("logs")


def fail_once(rds, name, statement=STATEMENT):
    """Make the database log an error."""
    with connect(describe(rds, name)) as connection, pytest.raises(psycopg.errors.UndefinedTable):
        connection.execute(statement)


@pytest.fixture(scope="module")
def clusters(rds):
    """Two clusters that failed once: "logged" exports its log, "silent" does not."""
    for name, exports in (("logged", ["postgresql"]), ("silent", [])):
        create(rds, name, EnableCloudwatchLogsExports=exports)
        fail_once(rds, name)


def events(logs, pattern, group=GROUP, seconds=HANG):
    """Log events that hold the pattern, an error and its statement, awaited."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            found = [
                one
                for one in logs.filter_log_events(logGroupName=group, logStreamNames=[group.split("/")[4] + "-1"])[
                    "events"
                ]
                if pattern in one["message"]
            ]
        except logs.exceptions.ResourceNotFoundException:
            found = []
        if len(found) >= 2:
            return found
        time.sleep(0.3)
    return []


def test_an_error_of_the_database_reaches_cloudwatch_logs(clusters, logs):
    """moto alone: no log group. The stream is the instance; error and statement are entries of their own, each complete."""
    error, statement = events(logs, MARK)

    assert error["message"].endswith(f'ERROR:  relation "{MARK}" does not exist at character 17')
    assert statement["message"].endswith("STATEMENT:  " + STATEMENT.replace("\n", "\n\t"))


def test_the_entry_carries_auroras_prefix_and_its_own_time_in_utc(clusters, logs):
    """moto alone: nothing."""
    (error, _) = events(logs, MARK)
    moment = datetime.fromtimestamp(error["timestamp"] / 1000, UTC)

    assert error["message"].startswith(f"{moment:%Y-%m-%d %H:%M:%S} UTC:127.")
    assert ":postgres@postgres:[" in error["message"]
    assert abs(datetime.now(UTC) - moment) < timedelta(minutes=5)


def test_a_cluster_that_does_not_export_has_no_log_group(clusters, logs):
    """And one that begins to export shows what happens from then on, not what was before."""
    events(logs, MARK)

    names = {one["logGroupName"] for one in logs.describe_log_groups()["logGroups"]}

    assert {GROUP} == names & {GROUP, "/aws/rds/cluster/silent/postgresql"}


def test_the_export_can_be_switched_on_later(clusters, rds, logs):
    """What was logged a good second before that stays where it is. moto alone delivers nothing ever."""
    create(rds, "late")
    fail_once(rds, "late")
    time.sleep(2.2)
    rds.modify_db_cluster(
        DBClusterIdentifier="late",
        CloudwatchLogsExportConfiguration={"EnableLogTypes": ["postgresql"]},
        ApplyImmediately=True,
    )
    fail_once(rds, "late", "SELECT FROM second_missing_table")

    group = "/aws/rds/cluster/late/postgresql"
    assert 2 == len(events(logs, "second_missing_table", group))
    assert [] == events(logs, MARK, group, seconds=1)


def test_the_log_file_is_described_as_it_is(clusters, rds):
    """moto alone: an invented file of 123 bytes."""
    (found,) = rds.describe_db_log_files(DBInstanceIdentifier="logged-1")["DescribeDBLogFiles"]
    data = rds.download_db_log_file_portion(
        DBInstanceIdentifier="logged-1", LogFileName=found["LogFileName"], Marker="0"
    )["LogFileData"]

    assert found["LogFileName"].startswith("error/postgresql.log.20")
    assert found["Size"] <= len(data.encode())
    assert MARK in data


def test_filters_of_the_file_list_are_honoured(clusters, rds):
    """moto alone ignores them."""
    for nothing in ({"FilenameContains": "slow"}, {"FileSize": 10**9}, {"FileLastWritten": 4102444800000}):
        assert [] == rds.describe_db_log_files(DBInstanceIdentifier="logged-1", **nothing)["DescribeDBLogFiles"]


def test_the_file_can_be_read_in_blocks_and_nothing_is_lost_or_doubled(clusters, rds):
    """moto alone: HTTP 500. Marker "0" first, then the marker of each answer, until nothing is pending."""
    (file,) = rds.describe_db_log_files(DBInstanceIdentifier="logged-1")["DescribeDBLogFiles"]
    known = {"DBInstanceIdentifier": "logged-1", "LogFileName": file["LogFileName"]}
    whole = rds.download_db_log_file_portion(**known, Marker="0")["LogFileData"]
    marker, blocks = "0", []
    while len("".join(blocks).encode()) < len(whole.encode()):
        answer = rds.download_db_log_file_portion(**known, Marker=marker, NumberOfLines=3)
        blocks.append(answer["LogFileData"])
        marker = answer["Marker"]
        if not answer["AdditionalDataPending"]:
            break

    assert "".join(blocks).startswith(whole)
    assert {3} == {block.count("\n") for block in blocks[:-1]}


def test_without_a_marker_the_last_lines_come(clusters, rds):
    """moto alone: HTTP 500. A reader who wants the beginning must say so."""
    (file,) = rds.describe_db_log_files(DBInstanceIdentifier="logged-1")["DescribeDBLogFiles"]
    known = {"DBInstanceIdentifier": "logged-1", "LogFileName": file["LogFileName"]}

    last = rds.download_db_log_file_portion(**known, NumberOfLines=2)

    assert (2, False) == (last["LogFileData"].count("\n"), last["AdditionalDataPending"])


def test_what_is_not_there_is_refused(clusters, rds):
    """moto alone: HTTP 500 for the file."""
    (file,) = rds.describe_db_log_files(DBInstanceIdentifier="logged-1")["DescribeDBLogFiles"]
    portion = rds.download_db_log_file_portion

    assert "DBInstanceNotFound" == refused(rds.describe_db_log_files, DBInstanceIdentifier="none")
    assert "DBLogFileNotFoundFault" == refused(portion, DBInstanceIdentifier="logged-1", LogFileName="error/none.log")
    assert "InvalidParameterValue" == refused(
        portion, DBInstanceIdentifier="logged-1", LogFileName=file["LogFileName"], Marker="99999999"
    )


def test_a_log_groups_key_can_be_changed_and_taken_off(logs):
    """AssociateKmsKey and DisassociateKmsKey, which moto does not know; an unknown group is refused."""
    key = "arn:aws:kms:ap-northeast-1:123456789012:key/11111111-2222-3333-4444-555555555555"
    logs.create_log_group(logGroupName="/keyed")

    def shown():
        return logs.describe_log_groups(logGroupNamePrefix="/keyed")["logGroups"][0].get("kmsKeyId")

    logs.associate_kms_key(logGroupName="/keyed", kmsKeyId=key)
    with_key = shown()
    logs.disassociate_kms_key(logGroupName="/keyed")

    assert (key, None) == (with_key, shown())
    assert "ResourceNotFoundException" == refused(logs.associate_kms_key, logGroupName="/none", kmsKeyId=key)


NOW = 1_700_000_000.0
DAY = 86_400


def log_group(ages_in_days, retention=None):
    """A log group with one event of each age, and its stream."""
    backend = LogsBackend("ap-northeast-1", "123456789012")
    group = backend.create_log_group("/group", {})
    group.create_log_stream("stream")
    group.put_log_events(
        "stream", [{"timestamp": int((NOW - age * DAY) * 1000), "message": f"{age} days"} for age in ages_in_days]
    )
    group.set_retention_policy(retention)
    return group, group.streams["stream"]


@pytest.mark.parametrize(
    ("retention", "kept"),
    [
        (None, ["30 days", "8 days", "6 days", "0 days"]),
        (7, ["6 days", "0 days"]),
        (30, ["30 days", "8 days", "6 days", "0 days"]),
    ],
)
def test_events_older_than_the_log_groups_retention_are_deleted(retention, kept):
    """Without a retention they never expire. The group's storedBytes follows. moto alone: kept forever."""
    group, stream = log_group([30, 8, 6, 0], retention)

    log_retention.prune_group(group, NOW)

    assert kept == [event.message for event in stream.events]
    assert sum(map(len, kept)) == group.to_describe_dict()["storedBytes"]


def test_expired_events_are_deleted_whatever_the_order_of_their_puts():
    group, stream = log_group([0, 8, 6, 30], retention=7)

    log_retention.prune_group(group, NOW)

    assert ["0 days", "6 days"] == [event.message for event in stream.events]


def test_a_log_group_keeps_its_newest_events_up_to_a_number(monkeypatch):
    """Of all its streams together; not as in AWS, which has no such limit."""
    group, stream = log_group([3, 2, 1])
    group.create_log_stream("other")
    group.put_log_events("other", [{"timestamp": int((NOW - 2.5 * DAY) * 1000), "message": "older"}])
    monkeypatch.setattr(log_retention, "MAX_EVENTS", 2)

    log_retention.prune_group(group, NOW)

    assert ["2 days", "1 days"] == [event.message for event in stream.events]
    assert [] == group.streams["other"].events
