"""Automated backups: base backups one after the other, restores to any second between, expiry, and what a deleted cluster leaves.

In this module's sandbox a backup day is 12 seconds long (AURORA_OPS_BACKUP_DAY_SECONDS), so that a day passes in a test. moto alone
keeps no backup at all, and restores to an empty cluster at any time that it is told.
"""

import random
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from common import HANG, INSTANCE, PASSWORD, SHOP, describe, refused, soon
from common import connect as open_connection

from aurora_ops.core.errors import InputError
from aurora_ops.sandbox.dataplane import backups
from aurora_ops.sandbox.dataplane.backups import BackupStore, ClusterBackups
from aurora_ops.sandbox.dataplane.server import RecoveryError

pytestmark = pytest.mark.minutes(2.5)

DAY = timedelta(seconds=12)
ROWS = "SELECT coalesce(array_agg(id ORDER BY id), '{}') FROM orders"
TABLE = "SELECT to_regclass('orders')::text"


@pytest.fixture(scope="module", autouse=True)
def short_days():
    """Before the sandbox of this module starts: it reads the setting then."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(backups.DAY_VARIABLE, str(DAY.total_seconds()))
        yield


@pytest.fixture
def make(rds):
    """A cluster with so many instances and a retention of so many days; deleted at the end, whatever became of it."""
    made = []

    def make(instances=1, days=35):
        name = f"b{secrets.token_hex(3)}"
        made.append(name)
        rds.create_db_cluster(DBClusterIdentifier=name, BackupRetentionPeriod=days, **SHOP)
        for number in range(1, instances + 1):
            rds.create_db_instance(DBInstanceIdentifier=f"{name}-{number}", DBClusterIdentifier=name, **INSTANCE)
        return name

    yield make
    for name in made:
        delete(rds, name)


def delete(rds, name, **arguments):
    try:
        members = describe(rds, name)["DBClusterMembers"]
    except rds.exceptions.DBClusterNotFoundFault:
        return
    for member in members:
        rds.delete_db_instance(DBInstanceIdentifier=member["DBInstanceIdentifier"], SkipFinalSnapshot=True)
    rds.delete_db_cluster(DBClusterIdentifier=name, SkipFinalSnapshot=True, **arguments)


def connect(rds, name, endpoint="Endpoint"):
    return open_connection(describe(rds, name), endpoint)


def ask(rds, name, statement):
    with connect(rds, name) as connection:
        return connection.execute(statement).fetchone()[0]


def restored(rds, **arguments):
    """The rows of a cluster that is restored for it; none where the table was not there yet."""
    copy = f"copy{secrets.token_hex(3)}"
    rds.restore_db_cluster_to_point_in_time(DBClusterIdentifier=copy, **arguments)
    assert "available" == soon("available", lambda: describe(rds, copy)["Status"])
    rds.create_db_instance(DBInstanceIdentifier=f"{copy}-1", DBClusterIdentifier=copy, **INSTANCE)
    try:
        return ask(rds, copy, ROWS) if ask(rds, copy, TABLE) else []
    finally:
        delete(rds, copy)


class Writer:
    """Commits one row after the other and remembers when, by the database's own clock."""

    def __init__(self, rds, name):
        self.rds, self.name, self.commits = rds, name, []
        with connect(rds, name) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS orders (id integer)")

    def write(self, rows, pause=0.3):
        with connect(self.rds, self.name) as connection:
            for _ in range(rows):
                number = len(self.commits) + 1
                (xid,) = connection.execute(
                    "INSERT INTO orders VALUES (%s) RETURNING pg_current_xact_id()::xid", (number,)
                ).fetchone()
                (moment,) = connection.execute("SELECT pg_xact_commit_timestamp(%s::xid)", (xid,)).fetchone()
                self.commits.append(moment)
                time.sleep(pause)

    def rows_at(self, moment):
        return [number for number, at in enumerate(self.commits, start=1) if at <= moment]


def automated(rds, name):
    """The ends of the base backups that exist, the oldest first."""
    found = rds.describe_db_cluster_snapshots(DBClusterIdentifier=name, SnapshotType="automated")["DBClusterSnapshots"]
    return sorted(one["SnapshotCreateTime"] for one in found)


def archived(rds, name, moment):
    assert soon(True, lambda: describe(rds, name)["LatestRestorableTime"] >= moment)


def test_any_second_from_the_first_backup_to_the_archives_end_can_be_restored(rds, make, faults):
    """Before, between and after base backups, over a failover: each time has exactly the rows committed until then."""
    name = make(instances=2)
    writer = Writer(rds, name)
    writer.write(8)
    faults.back_up(name)
    writer.write(8)
    rds.failover_db_cluster(DBClusterIdentifier=name)
    writer.write(8)
    faults.back_up(name)
    writer.write(8)
    archived(rds, name, writer.commits[-1])

    first, second, third = automated(rds, name)[:3]
    latest = describe(rds, name)["LatestRestorableTime"]
    assert describe(rds, name)["EarliestRestorableTime"] == first
    spans = ((first, second), (second, third), (third, latest))
    moments = [first, *(begin + random.random() * (end - begin) for begin, end in spans), latest]  # noqa: S311
    for moment in moments:
        found = restored(rds, SourceDBClusterIdentifier=name, RestoreToTime=moment)
        assert writer.rows_at(moment) == found, f"restored to {moment.isoformat()} of {moments}"


def test_backups_are_taken_daily_and_expire_and_the_earliest_time_moves(rds, make, sandbox):
    """With a retention of one day: what it needs is kept and restores; older base backups and their WAL are gone."""
    name = make(days=1)
    writer = Writer(rds, name)
    begin = describe(rds, name)["EarliestRestorableTime"]
    folder = Path(sandbox.directory, "servers", describe(rds, name)["DbClusterResourceId"].lower(), "backup")
    (first,) = ClusterBackups(folder).bases
    oldest = min(file.name for file in folder.joinpath("archive").iterdir())

    while first.name in {base.name for base in ClusterBackups(folder).bases}:
        writer.write(1, pause=1)
        assert datetime.now(UTC) - begin < 5 * DAY, "nothing ever expired"

    cluster = describe(rds, name)
    earliest = cluster["EarliestRestorableTime"]
    assert begin + DAY <= earliest
    assert DAY == cluster["LatestRestorableTime"] - earliest  # exactly the retention, since older backups exist
    assert automated(rds, name)[0] <= earliest  # the one that a restore to the earliest time starts from
    assert not soon(False, lambda: folder.joinpath("archive", oldest).exists())
    assert "InvalidParameterValue" == refused(
        rds.restore_db_cluster_to_point_in_time,
        DBClusterIdentifier="never",
        SourceDBClusterIdentifier=name,
        RestoreToTime=begin,
    )
    assert writer.rows_at(earliest + DAY / 2) == restored(
        rds, SourceDBClusterIdentifier=name, RestoreToTime=earliest + DAY / 2
    )


def test_a_longer_retention_reaches_further_back_from_then_on(rds, make):
    """And one that is out of range is refused. moto alone takes any."""
    name = make(days=1)

    rds.modify_db_cluster(DBClusterIdentifier=name, BackupRetentionPeriod=7)

    assert 7 == describe(rds, name)["BackupRetentionPeriod"]
    assert "InvalidParameterValue" == refused(rds.modify_db_cluster, DBClusterIdentifier=name, BackupRetentionPeriod=0)
    assert "InvalidParameterValue" == refused(rds.modify_db_cluster, DBClusterIdentifier=name, BackupRetentionPeriod=36)
    assert 7 == describe(rds, name)["BackupRetentionPeriod"]


def test_a_deleted_cluster_leaves_backups_that_can_be_restored(rds, make):
    """With DeleteAutomatedBackups=False. The window no longer moves; a restore goes by the resource id, also under the old name."""
    name = make()
    writer = Writer(rds, name)
    writer.write(3)
    archived(rds, name, writer.commits[-1])
    before = describe(rds, name)
    resource = before["DbClusterResourceId"]

    delete(rds, name, DeleteAutomatedBackups=False)

    (backup,) = rds.describe_db_cluster_automated_backups(DbClusterResourceId=resource)["DBClusterAutomatedBackups"]
    window = backup["RestoreWindow"]
    assert ("retained", name, 35) == (
        backup["Status"], backup["DBClusterIdentifier"], backup["BackupRetentionPeriod"],
    )  # fmt: skip
    assert before["EarliestRestorableTime"] == window["EarliestTime"]
    assert before["LatestRestorableTime"] <= window["LatestTime"]
    time.sleep(2.5)
    filters = [{"Name": "status", "Values": ["retained"]}, {"Name": "db-cluster-id", "Values": [name]}]
    again = rds.describe_db_cluster_automated_backups(Filters=filters)["DBClusterAutomatedBackups"]
    assert [window] == [one["RestoreWindow"] for one in again]
    assert [1, 2] == restored(rds, SourceDbClusterResourceId=resource, RestoreToTime=writer.commits[1])
    assert [1, 2, 3] == restored(rds, SourceDbClusterResourceId=resource.upper(), UseLatestRestorableTime=True)
    assert "InvalidParameterValue" == refused(
        rds.restore_db_cluster_to_point_in_time, DBClusterIdentifier=name, SourceDbClusterResourceId=resource,
        RestoreToTime=window["LatestTime"] + timedelta(seconds=1),
    )  # fmt: skip
    assert "DBClusterNotFoundFault" == refused(
        rds.restore_db_cluster_to_point_in_time,
        DBClusterIdentifier=name,
        SourceDBClusterIdentifier=name,
        UseLatestRestorableTime=True,
    )

    rds.delete_db_cluster_automated_backup(DbClusterResourceId=resource)

    codes = {
        refused(rds.describe_db_cluster_automated_backups, DbClusterResourceId=resource),
        refused(rds.delete_db_cluster_automated_backup, DbClusterResourceId=resource),
        refused(
            rds.restore_db_cluster_to_point_in_time,
            DBClusterIdentifier=name,
            SourceDbClusterResourceId=resource,
            UseLatestRestorableTime=True,
        ),
    }
    assert {"DBClusterAutomatedBackupNotFoundFault"} == codes


def test_backups_go_with_the_cluster_unless_told_otherwise_and_files_too(rds, make, sandbox):
    """The API's default. Of a cluster that never had an instance there is no backup to be kept."""
    name, unused = make(), make(instances=0)
    resources = [describe(rds, one)["DbClusterResourceId"] for one in (name, unused)]

    delete(rds, name)
    delete(rds, unused, DeleteAutomatedBackups=False)

    for resource in resources:
        assert "DBClusterAutomatedBackupNotFoundFault" == refused(
            rds.describe_db_cluster_automated_backups, DbClusterResourceId=resource
        )
        assert [] == [*Path(sandbox.directory).glob(f"*/{resource.lower()}")]


def test_a_retained_backup_expires(rds, make):
    """After as many days as the cluster kept its own."""
    name = make(days=1)
    resource = describe(rds, name)["DbClusterResourceId"]
    delete(rds, name, DeleteAutomatedBackups=False)

    def there():
        return [
            one
            for one in rds.describe_db_cluster_automated_backups()["DBClusterAutomatedBackups"]
            if one["DbClusterResourceId"] == resource
        ]

    assert ["retained"] == [one["Status"] for one in there()]
    assert [] == soon([], there)


def test_the_backup_of_a_living_cluster_is_restored_by_its_resource_id_and_not_deleted(rds, make):
    name = make()
    resource = describe(rds, name)["DbClusterResourceId"]
    writer = Writer(rds, name)
    writer.write(1)
    archived(rds, name, writer.commits[-1])

    assert [1] == restored(rds, SourceDbClusterResourceId=resource, UseLatestRestorableTime=True)
    assert "InvalidDBClusterAutomatedBackupStateFault" == refused(
        rds.delete_db_cluster_automated_backup, DbClusterResourceId=resource
    )
    assert "InvalidParameterCombination" == refused(
        rds.restore_db_cluster_to_point_in_time, DBClusterIdentifier="never", SourceDBClusterIdentifier=name,
        SourceDbClusterResourceId=resource, UseLatestRestorableTime=True,
    )  # fmt: skip


def test_the_latest_restorable_time_stays_behind_while_the_archive_lags(rds, make, faults):
    """A restore past it is refused, one to it works; cleared, the archive catches up with all that was committed meanwhile."""
    name = make()
    writer = Writer(rds, name)
    writer.write(2)
    faults.lag_archive(name)
    latest = describe(rds, name)["LatestRestorableTime"]
    writer.write(2)
    time.sleep(2.5)  # longer than the archive takes without the fault

    assert latest == describe(rds, name)["LatestRestorableTime"]
    assert "InvalidParameterValue" == refused(
        rds.restore_db_cluster_to_point_in_time,
        DBClusterIdentifier="never",
        SourceDBClusterIdentifier=name,
        RestoreToTime=writer.commits[-1],
    )
    assert writer.rows_at(latest) == restored(rds, SourceDBClusterIdentifier=name, UseLatestRestorableTime=True)

    faults.clear()

    archived(rds, name, writer.commits[-1])
    assert [1, 2, 3, 4] == restored(rds, SourceDBClusterIdentifier=name, RestoreToTime=writer.commits[-1])


def test_a_lag_of_so_many_seconds_ends_by_itself(rds, make, faults):
    name = make()
    faults.lag_archive(name, seconds=10)
    latest = describe(rds, name)["LatestRestorableTime"]

    time.sleep(2.5)
    assert latest == describe(rds, name)["LatestRestorableTime"]
    archived(rds, name, latest + timedelta(seconds=10))


def test_a_gap_in_the_archive_makes_an_incompatible_restore(rds, make, sandbox):
    """Never a state that was not asked for. A restore to a time before the gap still works."""
    name = make()
    writer = Writer(rds, name)
    writer.write(1)
    archived(rds, name, writer.commits[-1])
    folder = Path(sandbox.directory, "servers", describe(rds, name)["DbClusterResourceId"].lower(), "backup", "archive")
    before = set(folder.iterdir())
    writer.write(1)
    archived(rds, name, writer.commits[-1])
    for file in set(folder.iterdir()) - before:
        file.unlink()

    rds.restore_db_cluster_to_point_in_time(
        DBClusterIdentifier="gap", SourceDBClusterIdentifier=name, RestoreToTime=writer.commits[-1]
    )

    assert "incompatible-restore" == soon("incompatible-restore", lambda: describe(rds, "gap")["Status"])
    rds.delete_db_cluster(DBClusterIdentifier="gap", SkipFinalSnapshot=True)
    assert [1] == restored(rds, SourceDBClusterIdentifier=name, RestoreToTime=writer.commits[0])


def test_what_is_being_read_is_deleted_when_it_has_been_read(tmp_path):
    """A restore of a snapshot that is deleted meanwhile comes to its end."""
    store, order = BackupStore(tmp_path), []
    path = store.snapshot("one")
    path.mkdir()

    def drop():
        store.drop(path)
        order.append("dropped")

    with ThreadPoolExecutor() as pool:
        with store.reading(path):
            waiting = pool.submit(drop)
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.2)
            order.append("read")
            assert path.exists()
        waiting.result(timeout=HANG)

    assert (["read", "dropped"], False) == (order, path.exists())


def test_the_data_of_a_base_backup_that_was_cut_short_is_not_used(tmp_path):
    """A record is written last, so what has none does not count; and a time before every backup is an error, not a later state."""
    tmp_path.joinpath("base-1", "data").mkdir(parents=True)

    assert ([], None) == (ClusterBackups(tmp_path).bases, ClusterBackups(tmp_path).earliest())
    with pytest.raises(RecoveryError, match="no base backup ended before"):
        ClusterBackups(tmp_path).base_for(datetime.now(UTC))


@pytest.mark.parametrize("length", ["0", "-1", "86401", "a day", "nan"])
def test_a_backup_day_of_impossible_length_is_refused(monkeypatch, length):
    monkeypatch.setenv(backups.DAY_VARIABLE, length)

    with pytest.raises(InputError, match="from 1 to 86400"):
        backups.backup_day()


def test_without_the_setting_a_day_is_a_day(monkeypatch):
    monkeypatch.delenv(backups.DAY_VARIABLE)

    assert timedelta(days=1) == backups.backup_day()


@pytest.fixture(scope="module")
def orders(rds):
    """A cluster with a reader, a table of several pages, and the snapshot "sound" of it."""
    name = f"pages{secrets.token_hex(3)}"
    rds.create_db_cluster(DBClusterIdentifier=name, **SHOP)
    for number in (1, 2):
        rds.create_db_instance(DBInstanceIdentifier=f"{name}-{number}", DBClusterIdentifier=name, **INSTANCE)
    with connect(rds, name) as connection:
        connection.execute("CREATE TABLE orders AS SELECT generate_series(1, 1000) AS id")
    rds.create_db_cluster_snapshot(DBClusterIdentifier=name, DBClusterSnapshotIdentifier="sound")
    return name


def test_a_damaged_page_is_found_when_it_is_read_and_the_rest_is_still_there(rds, orders, faults):
    """On the writer alone: its reader keeps a sound page, as its snapshot does."""
    faults.corrupt_page(orders, "shop", "public.orders", page=1)

    with connect(rds, orders) as connection:
        with pytest.raises(psycopg.errors.DataCorrupted, match="invalid page in block 1"):
            connection.execute("SELECT count(*) FROM orders")
        assert (1,) == connection.execute("SELECT id FROM orders WHERE ctid = '(0,1)'").fetchone()
    with connect(rds, orders, "ReaderEndpoint") as connection:
        assert (1000,) == connection.execute("SELECT count(*) FROM orders").fetchone()


def test_a_damaged_reader_leaves_the_writer_whole(rds, orders, faults):
    faults.corrupt_page(orders, "shop", "orders", page=2, instance=f"{orders}-2")

    reader = describe(rds, orders)
    with (
        psycopg.connect(
            host=reader["ReaderEndpoint"], port=reader["Port"], dbname="shop", user="postgres", password=PASSWORD
        ) as connection,
        pytest.raises(psycopg.errors.DataCorrupted, match="invalid page in block 2"),
    ):
        connection.execute("SELECT count(*) FROM orders")
    assert 1 == ask(rds, orders, "SELECT count(*) FROM orders WHERE ctid = '(2,1)'")


def test_a_snapshot_of_damaged_data_is_taken_and_a_damaged_snapshot_restored(rds, orders, faults):
    """Neither says a word: it is the check of the copy that has to find it. The snapshot of before is sound."""
    rds.create_db_cluster_snapshot(DBClusterIdentifier=orders, DBClusterSnapshotIdentifier="damaged")
    rds.copy_db_cluster_snapshot(
        SourceDBClusterSnapshotIdentifier="sound", TargetDBClusterSnapshotIdentifier="damaged-later"
    )
    faults.corrupt_page(orders, "shop", "orders", snapshot="damaged-later")

    for name, rows in (("sound", 1000), ("damaged", None), ("damaged-later", None)):
        copy = f"from-{name}"
        rds.restore_db_cluster_from_snapshot(
            DBClusterIdentifier=copy, SnapshotIdentifier=name, Engine="aurora-postgresql",
            ServerlessV2ScalingConfiguration={"MinCapacity": 0.5, "MaxCapacity": 1},
        )  # fmt: skip
        assert "available" == soon("available", lambda copy=copy: describe(rds, copy)["Status"])
        rds.create_db_instance(DBInstanceIdentifier=f"{copy}-1", DBClusterIdentifier=copy, **INSTANCE)
        if rows:
            assert rows == ask(rds, copy, "SELECT count(*) FROM orders")
        else:
            with pytest.raises(psycopg.errors.DataCorrupted, match="invalid page"):
                ask(rds, copy, "SELECT count(*) FROM orders")
        delete(rds, copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cluster": "nobody"}, "no cluster 'nobody'"),
        ({"table": "nothing"}, "no such table"),
        ({"page": 10**6}, "nothing would be damaged"),
        ({"page": -1}, "nothing would be damaged"),
        ({"database": "none"}, 'database "none" does not exist'),
        ({"instance": "nobody"}, "no instance 'nobody'"),
        ({"snapshot": "none"}, "none not found"),
    ],
)
def test_damage_that_would_hit_nothing_is_refused(faults, orders, change, message):
    """A test that relies on it would prove nothing."""
    with pytest.raises(InputError, match=message):
        faults.corrupt_page(**{"cluster": orders, "database": "shop", "table": "orders"} | change)


def test_a_lag_or_a_backup_of_nothing_is_refused(faults, rds, orders):
    with pytest.raises(InputError, match="no cluster 'nobody'"):
        faults.lag_archive("nobody")
    with pytest.raises(InputError, match="seconds=0"):
        faults.lag_archive(orders, seconds=0)
    rds.create_db_cluster(DBClusterIdentifier="idle", **SHOP)
    for call in (faults.lag_archive, faults.back_up):
        with pytest.raises(InputError, match=r"never had an instance|no running writer"):
            call("idle")
    rds.delete_db_cluster(DBClusterIdentifier="idle", SkipFinalSnapshot=True)
