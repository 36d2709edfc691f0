"""Alarms of the Terraform module that ring for a real trouble: the page names the cause, its command ends it, and the alarm is OK again.

What is measured is real, but for the ACU. An alarm looks back over one minute here and not over ten; two limits are scaled down, since three GiB
of temporary files and a billion transactions take their time. Most are slow: CloudWatch judges whole minutes.
"""

import re
import shlex
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager, suppress

import module_alarms
import psycopg
import pytest
from common import CLUSTER, INSTANCE, soon

from aurora_ops.aws.access import open_access
from aurora_ops.aws.session import open_session
from aurora_ops.diagnose import blocking
from aurora_ops.diagnose.alarms import procedure
from aurora_ops.diagnose.alarms.alarm import ForeignAlarmError, NoSuchAlarmError
from aurora_ops.diagnose.alarms.procedure import WrongPageError
from aurora_ops.diagnose.causes.cause import Limits
from aurora_ops.sandbox.observe.health import GIB

pytestmark = pytest.mark.minutes(4)
STEM = "ledger-live-aurora"
NAME = f"{STEM}-cluster"
WRITER, READER = f"{STEM}-writer", f"{STEM}-reader-1"
CONNECTIONS = 151  # 80 % of the 189 of one ACU, as Terraform computes it
LIMITS = {"connections": CONNECTIONS, "local-storage": 4 * GIB - 50 * 2**20, "transaction-ids": 120_000.0}
VALUES = {
    "local.name": STEM,
    "local.region": "ap-northeast-1",
    "var.max_capacity": "1",
    "local.connections_threshold": str(CONNECTIONS),
    "local.max_connections": "189",
}
SMALL = Limits(spilled_mib=16, frozen_transactions=100_000)
SECONDS = 240  # until a minute that is bad throughout has been judged, on a busy machine


@pytest.fixture(scope="module")
def built(sandbox, rds):
    """A writer and a reader with Performance Insights, and a table of some size. Vacuum against wraparound is due early."""
    group = {"DBClusterParameterGroupName": "own", "DBParameterGroupFamily": "aurora-postgresql15"}
    rds.create_db_cluster_parameter_group(Description="own", **group)
    rds.modify_db_cluster_parameter_group(
        DBClusterParameterGroupName="own",
        Parameters=[
            {"ParameterName": name, "ParameterValue": value, "ApplyMethod": "pending-reboot"}
            for name, value in (
                ("autovacuum_freeze_max_age", "100000"),
                ("autovacuum_naptime", "1"),
                ("max_standby_streaming_delay", "-1"),
                ("hot_standby_feedback", "0"),
            )
        ],
    )
    cluster = {key: value for key, value in CLUSTER.items() if key != "MasterUserPassword"}
    rds.create_db_cluster(
        DBClusterIdentifier=NAME, DatabaseName="ledger", DBClusterParameterGroupName="own", ManageMasterUserPassword=True, **cluster
    )  # fmt: skip
    for instance in (WRITER, READER):
        rds.create_db_instance(
            DBInstanceIdentifier=instance, DBClusterIdentifier=NAME, EnablePerformanceInsights=True, **INSTANCE
        )
    with access().connect(read_only=False) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        connection.execute("CREATE TABLE account (id int PRIMARY KEY, balance int)")
        connection.execute("INSERT INTO account SELECT i, 100 FROM generate_series(1, 1000) AS i")
        connection.execute("CREATE TABLE entry (id int PRIMARY KEY, customer int, note text)")
        connection.execute(
            "INSERT INTO entry SELECT i, mod(i * 7919, 40000), md5(i::text) FROM generate_series(1, 120000) AS i"
        )
        connection.execute("VACUUM ANALYZE")  # fmt: skip


def access():
    return open_access(open_session(), cluster=NAME)


def put(aws, name, role="writer"):
    """The module's alarm, over one minute; its text."""
    instance = WRITER if role == "writer" else READER
    alarm = module_alarms.of_instance(instance, role, VALUES, LIMITS)[name]
    aws("cloudwatch").put_metric_alarm(Period=60, EvaluationPeriods=1, **alarm)
    return alarm


def state(aws, alarm):
    return aws("cloudwatch").describe_alarms(AlarmNames=[alarm["AlarmName"]])["MetricAlarms"][0]["StateValue"]


def settled(aws, alarm, wanted):
    return soon(wanted, lambda: state(aws, alarm), SECONDS)


def answer(alarm, page=procedure.NAME, **options):
    return procedure.respond(
        lambda *_: open_session(), "sandbox", "ap-northeast-1", page=page, alarm=alarm["AlarmName"], limits=SMALL, **options
    )  # fmt: skip


def run(command, folder):
    """What somebody types: the command as it stands. What it printed, and its exit code."""
    words = shlex.split(command)
    assert "aurora-ops" == words[0]
    done = subprocess.run(
        [sys.executable, "-m", "aurora_ops", *words[1:], "--output-dir", str(folder)], capture_output=True, text=True, timeout=300
    )  # fmt: skip
    return done.stdout + done.stderr, done.returncode


class Sessions:
    """Sessions that stay until the end of the block."""

    def __init__(self, stack):
        self.stack, self.connector, self.stop = stack, access().connector(), threading.Event()

    def open(self, application, endpoint="", **options):
        opened = self.connector.connect(endpoint, read_only=False)
        self.stack.callback(opened.close)
        opened.execute("SELECT set_config('application_name', %s, false)", [application])
        for name, value in options.items():
            opened.execute("SELECT set_config(%s, %s, false)", [name, value])
        return opened

    def repeat(self, number, statement, pause):
        for place in range(number):
            thread = threading.Thread(target=self._work, args=(self.open("web"), statement, pause, place), daemon=True)
            thread.start()
            self.stack.callback(thread.join, 30)

    def _work(self, connection, statement, pause, turn):
        with suppress(psycopg.Error):
            while not self.stop.wait(pause):
                turn += 1
                connection.execute(statement, [turn % 40000])


@contextmanager
def sessions():
    with ExitStack() as stack:
        made = Sessions(stack)
        stack.callback(made.stop.set)
        yield made


def answered(waiting):
    """Web requests end when they are answered."""
    for one in waiting:
        while one.pgconn.get_result() is not None:
            pass
        one.close()


def test_who_has_read_nothing_ends_a_lock_by_the_two_commands_that_the_alarm_leads_to(built, aws, tmp_path):
    """Requests pile up behind a batch that has gone away. The alarm's text has one command; that prints the other; the alarm is OK."""
    with sessions() as made:
        alarm = put(aws, "connections")
        batch = made.open("nightly-batch")
        batch.execute("BEGIN")
        batch.execute("UPDATE account SET balance = 0 WHERE id = 1")
        waiting = [made.open("web") for _ in range(CONNECTIONS + 5)]
        for one in waiting:
            one.pgconn.send_query(b"UPDATE account SET balance = balance + 1 WHERE id = 1")
        rang = settled(aws, alarm, "ALARM")

        (first,) = re.findall(r"\((aurora-ops run [^)]+)\)", alarm["AlarmDescription"])
        said, code = run(first, tmp_path)
        second = re.search(r"^to mend it: (aurora-ops run .+)$", said, re.MULTILINE)
        done, ended = run(second[1], tmp_path) if second else ("", None)
        answered(waiting if ended == 0 else [])
    after = settled(aws, alarm, "OK")
    again, calm = run(first, tmp_path)

    assert f"aurora-ops run alarm-connections -p alarm {STEM}-writer-connections -p region ap-northeast-1" == first
    assert ("ALARM", 1) == (rang, code), said
    assert re.search(f"is in ALARM since .* UTC; nightly-batch holds up {CONNECTIONS + 5} sessions", said)
    assert second[1].startswith(f"aurora-ops run end-blocking-session -p cluster {NAME} -p pid ")
    assert (0, "OK", 0) == (ended, after, calm), done + again
    assert re.search("PASS +end-blocking-session: 3 of 3 checks", done)


@pytest.mark.slow
def test_processors_and_capacity_are_brought_back_by_the_index_that_is_missing(built, aws):
    """Two alarms ring for one cause, and both pages name it; more capacity stands behind it, with its price and variable."""
    with sessions() as made:
        alarms = [put(aws, name) for name in ("cpu", "capacity")]
        made.repeat(3, "SELECT count(*) FROM entry WHERE customer = %s", 0.05)
        rang = [settled(aws, alarm, "ALARM") for alarm in alarms]
        found = [answer(alarm, page) for alarm, page in zip(alarms, ("alarm-cpu", "alarm-capacity"), strict=True)]
        with access().connect(read_only=False) as owner:
            owner.execute(found[0].command.encode())
        after = [settled(aws, alarm, "OK") for alarm in alarms]
        reports = [answer(alarm).report().verdict for alarm in alarms]
    with access().connect(read_only=False) as owner:
        owner.execute("DROP INDEX entry_customer_idx")

    assert ["ALARM", "ALARM"] == rang
    assert ["No index for SELECT from entry"] * 2 == [one.cause.title for one in found]
    assert "CREATE INDEX CONCURRENTLY ON public.entry (customer)" == found[0].command
    assert [f"aurora-ops run set-acu-range -p cluster {NAME} -p min_acu 0.5 -p max_acu 2"] == [
        way.command for way in found[0].ways if way.what.startswith("raise the ceiling")
    ]
    assert ["nothing while it is not used, at most $219.00 a month", "at its floor $54.75 a month"] == [way.cost for way in found[0].ways[-2:]]  # fmt: skip
    assert ["max_capacity = 2 in the module that has the cluster", "reader_count = 2 in the module that has the cluster"] == [way.terraform for way in found[0].ways[-2:]]  # fmt: skip
    assert (["OK", "OK"], ["PASS", "PASS"]) == (after, reports)


@pytest.mark.slow
def test_connections_that_are_not_given_back_are_ended_by_application(built, aws, tmp_path):
    """The pool of one application, idle for a minute; another's connection stays."""
    with sessions() as made:
        alarm = put(aws, "connections")
        stays = made.open("web")
        for _ in range(CONNECTIONS + 5):
            made.open("leaky api")
        rang = settled(aws, alarm, "ALARM")
        time.sleep(60)  # what was just used is not ended
        found = answer(alarm, "alarm-connections")
        done, code = run(found.command, tmp_path)
        after, alive = settled(aws, alarm, "OK"), stays.execute("SELECT 1").fetchone()

    assert ("ALARM", f"aurora-ops run end-sessions -p cluster {NAME} -p application 'leaky api' -p idle_seconds 60") == (rang, found.command)  # fmt: skip
    assert (0, "OK", (1,)) == (code, after, alive), done


@pytest.mark.slow
def test_a_session_that_fills_the_local_disk_is_ended(built, aws, tmp_path):
    """A cursor over a sort that spills; its files go with its session."""
    with sessions() as made:
        alarm = put(aws, "local-storage")
        export = made.open("export", work_mem="64kB")
        export.execute("BEGIN")
        export.execute(
            "DECLARE c CURSOR FOR SELECT repeat(md5(i::text), 3) AS w FROM generate_series(1, 800000) AS i ORDER BY w"
        )
        export.execute("FETCH 1 FROM c")  # fmt: skip
        rang = settled(aws, alarm, "ALARM")
        found = answer(alarm, "alarm-local-storage")
        done, code = run(found.command, tmp_path)
    after = settled(aws, alarm, "OK")

    assert ("ALARM", "export fills the local disk with temporary files") == (rang, found.cause.title)
    assert (0, "OK") == (code, after), done


@pytest.mark.slow
def test_a_report_that_keeps_a_reader_behind_is_ended_at_the_reader(built, aws, tmp_path):
    """Its snapshot needs rows that the writer has vacuumed; replay waits for it without end."""
    endpoint = next(one.endpoint for one in access().described().readers)
    with sessions() as made:
        alarm = put(aws, "replica-lag", "reader-1")
        report = made.open("monthly-report", endpoint)
        pid = report.info.backend_pid
        report.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        report.execute("SELECT count(*) FROM account")
        with access().connect(read_only=False) as owner:
            owner.execute("DELETE FROM account WHERE id > 900")
            owner.execute("VACUUM account")
            owner.execute("INSERT INTO account SELECT i, 100 FROM generate_series(901, 1000) AS i")
        rang = settled(aws, alarm, "ALARM")
        found = answer(alarm, "alarm-replica-lag")
        done, code = run(found.command, tmp_path)
    after = settled(aws, alarm, "OK")

    assert ("ALARM", "monthly-report holds up the replay of this reader") == (rang, found.cause.title)
    assert f"-p instance {READER} -p pid {pid}" in found.command
    assert (0, "OK") == (code, after), done


@pytest.mark.slow
def test_a_transaction_that_keeps_ids_from_being_frozen_is_ended_and_autovacuum_does_the_rest(built, aws, tmp_path):
    """Vacuum is due, runs, and freezes nothing that is younger than the oldest transaction."""
    with sessions() as made:
        alarm = put(aws, "transaction-ids")
        forgotten = made.open("forgotten")
        pid = forgotten.info.backend_pid
        forgotten.execute("BEGIN")
        forgotten.execute("INSERT INTO account VALUES (5000, 1)")
        with access().connect(read_only=False) as owner:
            owner.execute("CREATE UNLOGGED TABLE spent (id int)")
            owner.execute(
                "DO $$ BEGIN FOR i IN 1..250000 LOOP BEGIN INSERT INTO spent VALUES (i); EXCEPTION WHEN division_by_zero THEN NULL; END; END LOOP; END $$"
            )
        rang = settled(aws, alarm, "ALARM")
        found = answer(alarm, "alarm-transaction-ids")
        done, code = run(found.command, tmp_path)
    after = settled(aws, alarm, "OK")

    assert ("ALARM", f"pid {pid}, postgres, forgotten keeps transaction ids from being frozen") == (rang, found.cause.title)  # fmt: skip
    assert (0, "OK") == (code, after), done


def test_on_a_live_target_the_command_has_the_target_and_the_plans_id(built, aws, live, sandbox, monkeypatch):
    """So two commands are enough there too: the plan that the page was read with is the one that is applied."""
    monkeypatch.setenv("AURORA_OPS_CA_BUNDLE", sandbox.variables.get("PGSSLROOTCERT", ""))
    alarm = put(aws, "connections")
    with sessions() as made:
        batch = made.open("nightly-batch")
        batch.execute("BEGIN")
        batch.execute("UPDATE account SET balance = 0 WHERE id = 2")
        waiting = made.open("web")
        waiting.pgconn.send_query(b"UPDATE account SET balance = balance + 1 WHERE id = 2")
        limits = Limits(holder_seconds=0)
        found = procedure.respond(
            lambda *_: live,
            "a-profile",
            "ap-northeast-1",
            page="alarm-connections",
            alarm=alarm["AlarmName"],
            limits=limits,
        )
        command = shlex.split(found.command)
        confirm = command[command.index("confirm") + 1]
        ending = blocking.end_blocking_session(open_access(live, cluster=NAME), pid=batch.info.backend_pid)
        ending.apply(confirm)
        verified = ending.verify()
        answered([waiting])

    assert ["aurora-ops", "run", "end-blocking-session"] == command[:3]
    assert ["--target", "a-profile"] == command[-2:]
    assert "PASS" == verified.verdict


METRIC = {"Statistic": "Average", "Period": 60, "EvaluationPeriods": 1, "ComparisonOperator": "GreaterThanThreshold", "Threshold": 1e12, "TreatMissingData": "notBreaching"}  # fmt: skip


def of(name, value):
    return [{"Name": name, "Value": value}]


def test_an_alarm_of_somebody_else_works_by_its_metric(built, aws):
    """Of a cluster's reader, of metric math, and as a part of a composite alarm."""
    cloudwatch = aws("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="theirs-lag", Namespace="AWS/RDS", MetricName="AuroraReplicaLag", **METRIC,
        Dimensions=[*of("DBClusterIdentifier", NAME), *of("Role", "READER")],
    )  # fmt: skip
    metric = {"Namespace": "AWS/RDS", "MetricName": "DBLoadNonCPU", "Dimensions": of("DBInstanceIdentifier", WRITER)}
    cloudwatch.put_metric_alarm(
        AlarmName="theirs-math", ComparisonOperator="GreaterThanThreshold", Threshold=1e9, EvaluationPeriods=1, TreatMissingData="notBreaching",
        Metrics=[{"Id": "a", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Average"}, "ReturnData": False}, {"Id": "b", "Expression": "a * 2", "ReturnData": True}],
    )  # fmt: skip
    cloudwatch.put_metric_alarm(
        AlarmName="queue", Namespace="AWS/SQS", MetricName="Age", Dimensions=of("QueueName", "q"), **METRIC
    )
    cloudwatch.put_composite_alarm(AlarmName="theirs-all", AlarmRule='ALARM("queue") OR ALARM("theirs-lag")')
    assert "OK" == settled(aws, {"AlarmName": "theirs-lag"}, "OK")  # before its first judgement it has no data
    found = {name: answer({"AlarmName": name}) for name in ("theirs-lag", "theirs-math", "theirs-all")}

    assert {
        "theirs-lag": ("replica-lag", READER, "AuroraReplicaLag above 1e+12"),
        "theirs-math": ("", WRITER, "an expression of DBLoadNonCPU above 1e+09"),
        "theirs-all": ("replica-lag", READER, "AuroraReplicaLag above 1e+12"),
    } == {name: (one.kind.name, one.instance.identifier, one.alarm.condition) for name, one in found.items()}
    assert repr(found["theirs-all"].bottom_line()).startswith("theirs-lag (of theirs-all) is ")


def test_the_alarm_about_missing_drills_leads_to_its_own_page(built, aws):
    """It is in a namespace of its own and about the whole cluster; nothing is looked for in the database. Without data it rings."""
    alarm = {"AlarmName": f"{STEM}-restore-proof"}
    aws("cloudwatch").put_metric_alarm(
        Namespace="AuroraOps", MetricName="HoursSinceLastProof", Dimensions=of("DBClusterIdentifier", NAME), **alarm,
        **METRIC | {"TreatMissingData": "breaching", "Threshold": 0},
    )  # fmt: skip
    rang = settled(aws, alarm, "ALARM")
    found = answer(alarm)

    assert ("ALARM", f"aurora-ops run respond-to-missing-drill -p cluster {NAME}") == (
        rang,
        found.result()["to_mend_it"],
    )
    assert ("FAIL", ()) == (found.report().verdict, found.looks.looks)


def test_an_alarm_that_is_not_there_or_about_no_database_is_refused_with_a_sentence(built, aws):
    """Before anything of a database is looked at; the nearest name is said."""
    put(aws, "cpu")
    aws("cloudwatch").put_metric_alarm(
        AlarmName="queue", Namespace="AWS/SQS", MetricName="Age", Dimensions=of("QueueName", "q"), **METRIC
    )
    with pytest.raises(NoSuchAlarmError, match=f"Did you mean '{STEM}-writer-cpu'"):
        answer({"AlarmName": f"{STEM}-writer-cpus"})
    with pytest.raises(ForeignAlarmError, match="watches AWS/SQS Age of q, which is no RDS database"):
        answer({"AlarmName": "queue"})


def test_a_page_that_is_about_another_alarm_names_the_right_command(built, aws):
    """And a cluster that the alarm does not watch is refused."""
    alarm = put(aws, "cpu")
    with pytest.raises(WrongPageError, match=f"Its page: aurora-ops run alarm-cpu -p alarm {STEM}-writer-cpu"):
        answer(alarm, "alarm-connections")


def test_without_a_name_it_is_the_clusters_alarm_of_this_kind(built, aws):
    """On its instance, with its state; the plain page takes whichever rings."""
    put(aws, "cpu")
    found = procedure.respond(
        lambda *_: open_session(), "sandbox", "ap-northeast-1", page="alarm-cpu", cluster=NAME, limits=SMALL
    )

    assert (f"{STEM}-writer-cpu", WRITER) == (found.alarm.name, found.instance.identifier)
