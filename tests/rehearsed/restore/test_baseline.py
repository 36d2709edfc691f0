"""A baseline that was recorded earlier stands for a source that is gone: faults are named, a copy that is right passes, and no more is said than was seen."""

import gzip
import json
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from common import CLUSTER, HANG, INSTANCE, SHOP, connect, create, describe, failed, settled_second, soon
from restore_faults import FAULTS, ROLE, SCHEMA, SECOND

from aurora_ops.aws.access import open_access, open_by_name
from aurora_ops.aws.session import open_session
from aurora_ops.core.display import Report
from aurora_ops.restore.baseline import file, recording
from aurora_ops.restore.baseline.file import BaselineError
from aurora_ops.restore.proof.content.remembered import Remembered
from aurora_ops.restore.proof.content.rows import NOTHING
from aurora_ops.restore.proof.made_of import definitions
from aurora_ops.restore.verification import procedure
from aurora_ops.restore.verification.copies import CopyRefusedError

FEW = 12  # every so many-th fault of the matrix
_FILL = """
CREATE TABLE orders (id serial PRIMARY KEY, customer text, secret text DEFAULT 'default-word-1');
INSERT INTO orders (customer, secret) SELECT 'c' || i % 7, 'contents-word-' || i FROM generate_series(1, 3000) AS i;
CREATE TABLE steady AS SELECT i AS id, 'row-word-' || i AS v FROM generate_series(1, 1000) AS i;
CREATE FUNCTION told() RETURNS text LANGUAGE sql AS $$ SELECT 'body-word-1' $$;
COMMENT ON TABLE steady IS 'comment-word-1';
CREATE TABLE dropped AS SELECT 1 AS one;
SELECT lo_from_bytea(0, 'large-word-1')
"""
_WRITTEN_SINCE = """
UPDATE orders SET customer = 'c9' WHERE id <= 20; DELETE FROM orders WHERE id = 21; INSERT INTO orders (customer) VALUES ('new');
CREATE TABLE younger AS SELECT 1 AS one; DROP TABLE dropped; CREATE OR REPLACE FUNCTION told() RETURNS text LANGUAGE sql AS $$ SELECT 'other' $$;
CREATE ROLE younger_role
"""


@pytest.fixture(scope="module")
def session(sandbox):
    return open_session()


def run(connection, text):
    for statement in text.split("; "):
        connection.execute(statement.encode())


@pytest.fixture(scope="module")
def gone(rds, aws, session, tmp_path_factory):
    """A baseline's file of a cluster with an object for each fault of the matrix; copies of its second and of a later one; the cluster is deleted."""
    made = create(rds, "gone", **SHOP)
    aws("secretsmanager").create_secret(Name="gone", SecretString='{"username": "postgres", "password": "throw-away-1"}', Description="of cluster gone")  # fmt: skip
    with connect(made) as source:
        source.execute(_FILL)
        source.execute(f"CREATE ROLE {ROLE}; GRANT {ROLE} TO postgres")
        source.execute(f'CREATE DATABASE "{SECOND}"')
    for database in ("shop", SECOND):
        with connect(made, dbname=database) as source:
            source.execute(f"CREATE SCHEMA {SCHEMA}")
            for number, fault in enumerate(FAULTS):
                if (fault.database or "shop") == database:
                    run(source, fault.sql(fault.made, number))
    time.sleep(0.3)
    recorded = recording.baseline(open_access(session, cluster="gone"), folder=str(tmp_path_factory.mktemp("kept")))
    recorded.record()
    checked = recorded.verify()
    time.sleep(0.3)
    with connect(made) as source:
        source.execute(_WRITTEN_SINCE)
    later = settled_second()
    soon(True, lambda: describe(rds, "gone")["LatestRestorableTime"] > later, HANG)
    for name, moment in (("exact", recorded.head.to), ("later", later)):
        restore(rds, name, moment)
    for name in ("exact", "later"):
        with_instance(rds, name)
    rds.delete_db_instance(DBInstanceIdentifier="gone-1", SkipFinalSnapshot=True)
    rds.delete_db_cluster(DBClusterIdentifier="gone", SkipFinalSnapshot=True)
    soon([], lambda: [one for one in rds.describe_db_clusters()["DBClusters"] if one["DBClusterIdentifier"] == "gone"])
    return recorded, checked, later


def restore(rds, name, moment, source="gone"):
    rds.restore_db_cluster_to_point_in_time(
        DBClusterIdentifier=name, SourceDBClusterIdentifier=source, RestoreType="full-copy", RestoreToTime=moment,
        ServerlessV2ScalingConfiguration=CLUSTER["ServerlessV2ScalingConfiguration"],
    )  # fmt: skip


def with_instance(rds, name):
    soon("available", lambda: describe(rds, name)["Status"])
    rds.create_db_instance(DBInstanceIdentifier=f"{name}-1", DBClusterIdentifier=name, **INSTANCE)
    soon("available", lambda: rds.describe_db_instances(DBInstanceIdentifier=f"{name}-1")["DBInstances"][0]["DBInstanceStatus"])  # fmt: skip
    return describe(rds, name)


def verification(session, gone, copy="exact", moment=None, **more):
    recorded, _, _ = gone
    moment = moment or recorded.head.to
    access = open_by_name(session, cluster="gone", login="secret:gone")  # a copy has the source's passwords
    given = {"baseline": str(recorded.path), "restored_to": f"{moment:%FT%TZ}"} | more
    return procedure.verify(access, copy=copy, **given)


def verified(session, gone, copy="exact", moment=None, **more):
    found = verification(session, gone, copy, moment, **more)
    found.record()
    return Report.combine("all", (found.verify_content(), found.verify_cluster(), found.verify_rules()))


def detail(report, name):
    return next(one.detail for one in report.checks if one.name == name)


def test_the_file_is_whole_small_and_its_owners_alone(gone):
    """It says how much it can prove, names what it cannot, and each table is one line of it."""
    recorded, checked, _ = gone

    assert ([], 0o600) == (failed(checked), recorded.path.stat().st_mode & 0o777)
    assert "3,000 of 3,000 rows" == detail(checked, "rows of shop: public.orders")


def test_the_file_holds_no_contents_and_no_secret(gone):
    """Names stay; rows, defaults, bodies, comments and large objects are hashes and sums."""
    text = gzip.decompress(gone[0].path.read_bytes()).decode()
    words = ("contents-word", "row-word", "default-word", "body-word", "comment-word", "large-word", "throw-away-1")

    assert ([], True) == ([word for word in words if word in text], '"orders"' in text)


def test_a_copy_of_the_baselines_second_passes_when_the_source_is_gone(session, gone):
    """All rows are proved, and what a baseline cannot say is a SKIP by name."""
    report = verified(session, gone)

    assert ("PASS", []) == (report.verdict, failed(report))
    assert "3,000 of 3,000 rows" == detail(report, "rows of shop: public.orders")
    assert "settings; different as expected: " in detail(report, "configuration of the cluster")


OF_CLUSTER = {
    "CopyTagsToSnapshot": ({"CopyTagsToSnapshot": True}, "False at the source, True in the copy"),
    "BackupRetentionPeriod": ({"BackupRetentionPeriod": 9}, "1 at the source, 9 in the copy"),
    "IAMDatabaseAuthenticationEnabled": ({"EnableIAMDatabaseAuthentication": True}, "False at the source, True in the copy"),
}  # fmt: skip


@pytest.mark.parametrize("setting", OF_CLUSTER)
def test_a_setting_that_is_another_than_was_recorded_is_named(session, gone, rds, setting):
    """With both values, and a finding where it is asked for; else it is only named."""
    change, said = OF_CLUSTER[setting]
    before = describe(rds, "exact").get(setting, False)
    rds.modify_db_cluster(DBClusterIdentifier="exact", ApplyImmediately=True, **change)
    try:
        (asked,), (named,) = (
            [one for one in _cluster(session, gone, ask) if one.name == "configuration of the cluster"]
            for ask in (True, False)
        )
    finally:
        rds.modify_db_cluster(DBClusterIdentifier="exact", ApplyImmediately=True, **{next(iter(change)): before})
    right = next(one for one in _cluster(session, gone, True) if one.name == "configuration of the cluster")

    assert ("FAIL", "SKIP", "PASS") == (asked.verdict, named.verdict, right.verdict)
    assert f"{setting}: {said}" in asked.detail
    assert asked.detail in named.detail


def test_what_the_parameter_groups_set_is_compared_by_value(session, gone, rds):
    """Whatever the group is called: a value that was changed since the baseline is named."""
    group = describe(rds, "exact")["DBClusterParameterGroup"]
    name = "parameters of the cluster's group"
    right = {one.name: one for one in _cluster(session, gone, True)}
    other = "of-another-day"
    rds.create_db_cluster_parameter_group(DBClusterParameterGroupName=other, DBParameterGroupFamily="aurora-postgresql15", Description="d")  # fmt: skip
    rds.modify_db_cluster_parameter_group(
        DBClusterParameterGroupName=other,
        Parameters=[{"ParameterName": "log_min_duration_statement", "ParameterValue": "250", "ApplyMethod": "immediate"}],
    )  # fmt: skip
    rds.modify_db_cluster(DBClusterIdentifier="exact", DBClusterParameterGroupName=other, ApplyImmediately=True)
    try:
        found = {one.name: one for one in _cluster(session, gone, True)}
    finally:
        rds.modify_db_cluster(DBClusterIdentifier="exact", DBClusterParameterGroupName=group, ApplyImmediately=True)

    assert ("PASS", "FAIL") == (right[name].verdict, found[name].verdict)
    assert "log_min_duration_statement: not set at the source, 250 in the copy" == found[name].detail
    assert "DBClusterParameterGroup: " in found["configuration of the cluster"].detail


def test_a_baseline_of_before_configurations_were_kept_says_so(session, gone):
    found = verification(session, gone, compare_configuration=True)
    del found.recorded["configuration"]
    found.record()

    assert "this baseline holds none" in detail(found.verify_cluster(), "configuration of the cluster")


def _cluster(session, gone, ask):
    found = verification(session, gone, compare_configuration=ask)
    found.record()
    return found.verify_cluster().checks


def test_a_copy_of_a_later_second_is_judged_by_what_nobody_wrote_since(session, gone):
    """Tables that stood still are proved; what was written or dropped in between is counted, and named as not proved."""
    report = verified(session, gone, "later", gone[2], proved_percent=50)

    assert ("PASS", []) == (report.verdict, failed(report))
    assert "1,000 of 1,000 rows" == detail(report, "rows of shop: public.steady")
    assert "written or changed since the baseline" in detail(report, "rows of shop: public.orders")
    assert "dropped or renamed since the baseline, or lost" in detail(report, "rows of shop: public.dropped")
    assert "table public.dropped: missing in the copy" in detail(report, "definitions of database shop")


def test_a_later_copy_of_which_too_little_can_be_judged_is_proved_in_part(session, gone):
    """With the share that is proved and the one that was asked for."""
    report = verified(session, gone, "later", gone[2], proved_percent=99.9)

    assert ["proved whole"] == failed(report)
    assert "proved in part" in detail(report, "proved whole")


def test_a_later_copy_that_somebody_wrote_to_fails(session, gone, rds):
    """A row and a definition that were written after the second that it is said to be of."""
    restored = describe(rds, "later")
    with connect(restored) as copy:
        copy.execute("UPDATE steady SET v = 'x' WHERE id = 7; COMMENT ON TABLE steady IS 'other'")

    found = failed(verified(session, gone, "later", gone[2], proved_percent=50))

    assert {"rows of shop: public.steady", "no row is later than the restore point", "definitions of database shop"} == set(found)  # fmt: skip


@pytest.fixture(scope="module")
def done():
    """Numbers of the faults that are in the copy by now."""
    return set()


@pytest.mark.parametrize("every", [FEW, pytest.param(1, marks=pytest.mark.slow)])
def test_each_fault_is_found_and_named_without_the_source(session, gone, rds, done, monkeypatch, every):
    """The same matrix of faults as the drill's; a detail shows the first differences only, and here it shows all."""
    monkeypatch.setattr(definitions, "_NAMED", 10_000)
    copy = describe(rds, "exact")
    for number in sorted(set(range(0, len(FAULTS), every)) - done):
        with connect(copy, dbname=FAULTS[number].database or "shop") as connection:
            run(connection, FAULTS[number].sql(FAULTS[number].damage, number))
        done.add(number)

    found = [one for one in verified(session, gone).checks if one.verdict == "FAIL"]
    # A comment's text is a hash: that of the operator is named by its own name.
    names = {number: "===" if "operator" in FAULTS[number].kind else FAULTS[number].named(number) for number in done}
    unseen = [
        FAULTS[number].kind
        for number in sorted(done)
        if not any(names[number] in f"{one.name} {one.detail}" for one in found)
    ]

    assert [] == unseen


def test_a_database_that_is_missing_is_named(session, gone, rds):
    """After all others: the copy has lost it."""
    with connect(describe(rds, "exact")) as copy:
        copy.execute(f'DROP DATABASE "{SECOND}" WITH (FORCE)')

    report = verified(session, gone)

    assert f"definitions of database {SECOND}" in failed(report)
    assert "the database is missing in the copy" == detail(report, f"definitions of database {SECOND}")


def changed(path, tmp_path, **change):
    """A file of the same body with another first line."""
    with gzip.open(path) as packed:
        line, body = packed.readline(), packed.read()
    found = tmp_path / "other.baseline.gz"
    found.write_bytes(gzip.compress(json.dumps(json.loads(line) | change).encode() + b"\n" + body))
    return str(found)


def cut(path, tmp_path):
    found = tmp_path / "cut.baseline.gz"
    found.write_bytes(path.read_bytes()[:-2000])
    return str(found)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path, tmp: cut(path, tmp), "cannot be read"),
        (lambda path, tmp: changed(path, tmp, version=2), "is of format 2"),
        (lambda path, tmp: changed(path, tmp, sha256="0"), "is damaged"),
        (lambda path, tmp: changed(path, tmp, head={}), "is damaged"),
        (lambda path, tmp: changed(path, tmp, what="else"), "is no baseline"),
        (lambda path, tmp: __file__, "cannot be read"),
    ],
)
def test_a_file_that_is_no_whole_baseline_is_refused_before_anything_starts(gone, tmp_path, make, said):
    with pytest.raises(BaselineError, match=said):
        file.check(make(gone[0].path, tmp_path))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"cluster": "other"}, "is of cluster gone"),
        ({"cluster": "arn:aws:rds:eu-west-1:1:cluster:gone"}, "is of cluster gone"),
        ({"restored_to": "2026-01-01T00:00:00Z"}, "cannot be told from what is missing"),
    ],
)
def test_a_baseline_of_another_cluster_or_of_later_is_refused_before_anything_starts(gone, given, said):
    with pytest.raises(BaselineError, match=said):
        file.check(str(gone[0].path), **given)


def test_a_copy_of_before_the_baseline_is_refused(session, gone):
    """Also where it may be of before by what `within_seconds` allows."""
    to = gone[0].head.to
    with pytest.raises(BaselineError, match="restored to"):
        verification(session, gone, moment=to - timedelta(seconds=1))
    with pytest.raises(BaselineError, match="give or take 2 s"):
        verification(session, gone, within_seconds=2)
    with pytest.raises(CopyRefusedError, match="later than the copy itself"):
        verification(session, gone, moment=to + timedelta(days=1))


def test_a_copy_of_another_major_version_is_refused(session, gone):
    found = verification(session, gone)
    found.head = replace(found.head, server_version="9.6")

    with pytest.raises(BaselineError, match=r"recorded of 9\.6"):
        found.preflight()


_TEN = NOTHING._replace(old=10, sum=111, rows=10)


@pytest.mark.parametrize(
    ("holds_all", "holds_no_more", "now", "proved", "finding"),
    [
        (True, False, _TEN, 10, ""),
        (True, False, _TEN._replace(sum=112), 0, "their contents differ"),
        (True, False, _TEN._replace(old=9, rows=9), 0, "9 of them in the copy"),
        (True, False, _TEN._replace(old=11, rows=11, sum=5), 0, ""),
        (False, True, _TEN._replace(rows=15), 10, ""),
        (False, True, _TEN._replace(sum=112), 0, "their contents differ"),
        (False, True, _TEN._replace(old=11, rows=11), 0, "which has 10"),
        (False, True, _TEN._replace(old=9, rows=9), 0, ""),
        (False, False, _TEN._replace(sum=112), 0, ""),
    ],
)  # fmt: skip
def test_sums_are_judged_by_when_the_copy_is_of(holds_all, holds_no_more, now, proved, finding):
    """
    Until the reading began nothing of the baseline can be gone; after it ended nothing of before it can have come. What neither tells is not proved.
    """
    judge = Remembered("shop", None, None, {}, holds_all=holds_all, holds_no_more=holds_no_more)

    same, moved, told = judge._judged(_TEN, now)

    assert (proved, True) == (same, finding in told and bool(told) is bool(finding))
    assert bool(told) or same + moved == max(now.rows, 10)
