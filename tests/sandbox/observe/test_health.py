"""What CloudWatch tells of storage, lag and transaction ids comes from the server itself."""

import time
from collections import deque
from types import SimpleNamespace

from aurora_ops.sandbox.observe.health import GIB, Health, behind_ms, local_storage_bytes

ROWS = 60_000  # sorted in 64 kB of memory, some 4 MiB of temporary files


def data(**change):
    return SimpleNamespace(**{"writer_id": "one-1", "classes": {}, "ceiling_acu": 2.0} | change)


def test_temporary_files_are_taken_from_the_local_storage_and_given_back(database):
    """A sort that spills keeps its files until its cursor is closed; twice the memory is there in all."""
    directory = database.server.data
    with database.superuser() as looking, database.connect(autocommit=False) as sorting:

        def free():
            return Health().ask("one-1", "one", data(), looking, directory)()["FreeLocalStorage"]

        before = free()
        sorting.execute("SET LOCAL work_mem = '64kB'")
        sorting.execute(
            "DECLARE slow CURSOR FOR SELECT md5(i::text) AS word FROM generate_series(1, 60000) AS i ORDER BY word"
        )
        sorting.execute("FETCH 1 FROM slow")
        spilled = before - free()
        sorting.execute("CLOSE slow")
        after = free()

    assert (8 * GIB, before) == (before, after)
    assert ROWS * 32 < spilled < ROWS * 32 * 4


def test_a_provisioned_instance_has_the_storage_of_its_class():
    assert 32 * GIB == local_storage_bytes(data(classes={"one-1": "db.r6g.large"}), "one-1")


def test_the_oldest_transaction_id_ages_with_each_that_is_used(database):
    """The writer tells it; PostgreSQL's own age of the oldest database."""
    health = Health()
    with database.superuser() as looking:

        def age():
            return health.ask("one-1", "one", data(), looking, database.server.data)()["MaximumUsedTransactionIDs"]

        before = age()
        for _ in range(50):
            looking.execute("SELECT pg_current_xact_id()")
        after = age()

    assert 50 == after - before


def test_a_reader_is_behind_since_the_writer_went_past_it():
    """Not since the last commit: that may be hours old where nothing was written."""
    now = time.monotonic()
    written = deque([(now - 3, 100), (now - 2, 200), (now - 1, 200), (now, 300)])

    assert 0.0 == behind_ms(written, 300)
    assert 2000 <= behind_ms(written, 100) < 2500
    assert 0.0 == behind_ms(deque(), 100)
