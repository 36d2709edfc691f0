"""A copy that is right passes however busy its source is; one that is too old, or of another cluster, never does."""

import itertools
import secrets
import threading
import time
from contextlib import suppress
from datetime import timedelta

import psycopg
import pytest
from common import HANG, INSTANCE, SHOP, connect, create, describe, failed, settled_second

from aurora_ops.aws.access import open_access
from aurora_ops.aws.session import DatabaseUnreachableError
from aurora_ops.core import waiting
from aurora_ops.core.journal import RUN_ID
from aurora_ops.rehearsal.worlds import open_world
from aurora_ops.restore import drill as restore
from aurora_ops.restore.proof.engine import Proof

REGION = "ap-northeast-1"
ROUNDS = 30


@pytest.fixture(scope="module")
def access(sandbox):
    """A loaded dev."""
    return open_access(open_world(world="loaded"))


class Writers:
    """Inserts, updates, deletes, DDL and vacuum, without pause, until the context ends."""

    def __init__(self, access):
        self._access, self._over, self._token = access, threading.Event(), secrets.token_hex(3)
        self._threads = [
            threading.Thread(target=self._steadily, args=(work,), daemon=True)
            for work in (self._rows, self._definitions)
        ]
        self._made = itertools.count()
        self.written = 0

    def __enter__(self):
        with self._access.connect(read_only=False) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS public.busy (id bigserial PRIMARY KEY, v text)")
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _steadily(self, work):
        """An application that connects again when its writer went away."""
        while not self._over.is_set():
            with suppress(psycopg.OperationalError, psycopg.errors.ReadOnlySqlTransaction, DatabaseUnreachableError):
                work()
            self._over.wait(0.2)

    def _rows(self):
        with self._access.connect(read_only=False) as connection:
            while not self._over.is_set():
                connection.execute("INSERT INTO public.busy (v) SELECT repeat('x', 50) FROM generate_series(1, 20)")
                connection.execute("UPDATE public.busy SET v = v || 'y' WHERE id % 7 = 3 AND length(v) < 90")
                connection.execute(
                    "DELETE FROM public.busy WHERE id IN (SELECT id FROM public.busy ORDER BY random() LIMIT 9)"
                )
                connection.execute(
                    "UPDATE public.payments SET updated_at = now() WHERE id IN (SELECT id FROM public.payments LIMIT 3)"
                )
                self.written += 1
                self._over.wait(0.02)

    def _definitions(self):
        with self._access.connect(read_only=False) as connection:
            for number in self._made:
                if self._over.is_set():
                    return
                connection.execute(f"CREATE TABLE public.made_{self._token}_{number} (id serial PRIMARY KEY, v text)")
                connection.execute(f"INSERT INTO public.made_{self._token}_{number} (v) VALUES ('a'), ('b')")  # noqa: S608 - a number
                connection.execute("CREATE TEMPORARY TABLE passing (n int)")
                if number > 2:
                    connection.execute(f"DROP TABLE IF EXISTS public.made_{self._token}_{number - 3}")
                connection.execute("CREATE INDEX IF NOT EXISTS added ON public.busy (v)")
                with suppress(psycopg.errors.LockNotAvailable):
                    connection.execute("VACUUM public.busy")
                connection.execute("DROP INDEX public.added; DROP TABLE passing")
                connection.execute("VACUUM FULL public.tenants")
                self._over.wait(0.3)


@pytest.mark.parametrize("number", [1, *(pytest.param(one, marks=pytest.mark.slow) for one in range(2, ROUNDS + 1))])
def test_an_undamaged_copy_of_a_busy_source_passes(access, monkeypatch, number):
    """Rows and definitions change from the first mark to the last check; no finding, and at least half of the rows are proved all the same."""
    monkeypatch.setenv(RUN_ID, f"busy{number:04}")
    found = restore.drill(access, proved_percent=50)
    try:
        with Writers(access) as writers:
            found.mark()
            found.restore()
            report = found.verify_content()
        assert ([], True) == (failed(report), writers.written > 0)
    finally:
        restore.clean_up("sandbox", REGION)


# When the writer changes: after which step of the drill has begun, and how many seconds later.
FAILOVERS = [("mark", 0), ("mark", 1), ("mark", 2), ("restore", 0), ("restore", 1), ("verify", 0), ("verify", 0.3)]


@pytest.mark.parametrize(
    ("step", "later"),
    [pytest.param(*one, marks=() if one == ("mark", 1) else pytest.mark.slow) for one in FAILOVERS],
)
def test_a_failover_in_the_middle_changes_no_verdict(access, rds, monkeypatch, step, later):
    """While it is marked, restored or compared the source gets another writer, and its applications write on."""
    monkeypatch.setenv(RUN_ID, f"over{FAILOVERS.index((step, later))}{step:x<5}"[:8])
    source = access.described()
    if len(source.instances) < 2:
        rds.create_db_instance(DBInstanceIdentifier=f"{source.identifier}-other", DBClusterIdentifier=source.identifier, **INSTANCE)  # fmt: skip
    waiting.wait_until("both instances", lambda: all(one.status == "available" for one in access.described().instances), HANG)  # fmt: skip
    writer = next(one.identifier for one in access.described().instances if one.is_writer)
    found = restore.drill(access, proved_percent=50)
    found.preflight()
    begun = dict.fromkeys(("mark", "restore", "verify"))

    def fail_over():
        time.sleep(later)
        rds.failover_db_cluster(DBClusterIdentifier=source.identifier)

    try:
        with Writers(access):
            for name, work in (("mark", found.mark), ("restore", found.restore), ("verify", found.verify_content)):
                failing = threading.Thread(target=fail_over if name == step else time.sleep, args=() if name == step else (0,))  # fmt: skip
                failing.start()
                begun[name] = work()
                failing.join()
        now = next(one.identifier for one in access.described().instances if one.is_writer)
        assert ([], True) == (failed(begun["verify"]), now != writer)
    finally:
        restore.clean_up("sandbox", REGION)


def test_a_copy_that_is_a_few_seconds_too_old_fails(access, monkeypatch):
    """Asked for one second and given an earlier one: rows that were committed in between are missing, and their keys are named."""
    monkeypatch.setenv(RUN_ID, "tooold00")
    given = settled_second()
    with access.connect(read_only=False) as connection:
        connection.execute("CREATE TABLE public.journal (id int PRIMARY KEY); INSERT INTO public.journal VALUES (4711)")
    wanted = settled_second() + timedelta(seconds=1)
    waiting.wait_until("archived", lambda: access.described().latest_restorable_utc > wanted, 60)
    old = restore.drill(access, restore_point=given.isoformat())
    try:
        old.mark()
        old.restore()
        asked = Proof(old.proof.source, old.proof.databases)
        asked.record_after(wanted)
        checks = {check.name: check for check in asked.compare(old.copy.connect)}
        assert "FAIL" == checks["rows of miyabi_dev: public.journal"].verdict
        assert "table public.journal: missing in the copy" in checks["definitions of database miyabi_dev"].detail
    finally:
        restore.clean_up("sandbox", REGION)


def test_another_cluster_with_the_same_rows_fails(rds):
    """Loaded from the same file a moment later: equal to the last row, and its commits are not this cluster's."""
    both = []
    for name in ("first", "second"):
        create(rds, name, **SHOP)
        described = describe(rds, name)
        with connect(described) as connection:
            connection.execute(
                "CREATE TABLE orders (id int PRIMARY KEY, v text); INSERT INTO orders SELECT i, 'v' FROM generate_series(1, 500) AS i"
            )
        both.append(described)

    def side(described):
        return lambda database, read_only=True: connect(described, dbname=database)

    proof = Proof(side(both[0]), ("shop",))
    proof.record_after(settled_second())
    checks = {check.name: check for check in proof.compare(side(both[1]))}

    assert "FAIL" == checks["commits are this cluster's, up to the restore point"].verdict
