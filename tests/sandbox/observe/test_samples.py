"""The sampler's store: what Performance Insights serves no more goes, and a move happens as a whole, also under kill -9."""

import signal
import sqlite3
import subprocess
import sys
import time

import pytest
from common import soon

from aurora_ops.sandbox.observe.datapoints import Datapoints
from aurora_ops.sandbox.observe.insights.counters import COUNTERS
from aurora_ops.sandbox.observe.insights.sampled_window import Window
from aurora_ops.sandbox.observe.retention import Retention
from aurora_ops.sandbox.observe.samples import BLOCKING, EXECUTED, HOUR, SEEN_EVERY_SECONDS, Samples, kept_seconds

TIMED = ("tick", "session", "counters", "executed", "lock_snapshot")
KILLED_IN_THE_MIDDLE = """
import os, signal, sys
from pathlib import Path
from aurora_ops.sandbox.observe.samples import Samples
samples = Samples(Path(sys.argv[1]))
samples._connection.create_function("die", 0, lambda: os.kill(os.getpid(), signal.SIGKILL))
samples._connection.execute("CREATE TEMP TRIGGER cut BEFORE UPDATE ON executed BEGIN SELECT die(); END")
samples.move_up_to(int(sys.argv[2]))
"""


@pytest.fixture
def samples(tmp_path):
    opened = Samples(tmp_path / "samples.sqlite")
    yield opened
    opened.close()


def write(samples, second, resource="db-A", text="SELECT 1"):
    """One tick with a session, a counter and a statement's statistics."""
    session = (
        resource,
        second,
        7,
        "app",
        "u",
        "api",
        "h",
        "client backend",
        "CPU",
        "CPU",
        f"id {text}",
        "t",
        "q",
        *BLOCKING,
    )
    rows = {
        "tick": [(resource, second, 1.5)],
        "session": [session],
        "counters": [(resource, second, *[1.0] * len(COUNTERS))],
        "executed": [(resource, second, "q", *[1] * len(EXECUTED))],
        "lock_snapshot": [(resource, second, b"trees")],
    }
    samples.write(second, rows, [(f"id {text}", text)])


def seconds(samples):
    """(resource, second) of every row, by table."""
    return {table: samples.read(f"SELECT resource, second FROM {table} ORDER BY 1, 2") for table in TIMED}  # noqa: S608 - our own table names


def texts(samples):
    return [row[0] for row in samples.read("SELECT text FROM statement ORDER BY 1")]


def test_what_is_older_goes_with_its_instance_and_its_statements(samples):
    """An instance that is long gone is unknown afterwards; a statement goes an hour after its last session, which is how exactly it is known."""
    now = 1_764_000_000
    before = now - kept_seconds(7)
    write(samples, before - SEEN_EVERY_SECONDS - 1, "db-GONE", "SELECT old")
    write(samples, before - SEEN_EVERY_SECONDS - 1, text="SELECT always")
    write(samples, before - 1)
    write(samples, before, text="SELECT always")
    write(samples, now)
    samples.prune(now, {})

    assert {table: [("db-A", before), ("db-A", now)] for table in TIMED} == seconds(samples)
    assert {"db-A"} == samples.resources()
    assert ["SELECT 1", "SELECT always"] == texts(samples)


def test_all_instances_are_found(samples):
    assert set() == samples.resources()
    for resource in ("db-B", "db-A", "db-C", "db-B"):
        write(samples, 1_764_000_000, resource)

    assert {"db-A", "db-B", "db-C"} == samples.resources()


def test_a_move_is_by_whole_minutes_and_no_row_is_lost_to_another(samples):
    """Seconds that follow one another take each other's places."""
    for second in range(1000, 1130):
        write(samples, second)

    assert 120 == samples.move_up_to(1129 + 179)
    assert {table: [("db-A", second) for second in range(1120, 1250)] for table in TIMED} == seconds(samples)


def test_a_move_that_kill_9_cuts_off_has_not_happened(tmp_path, samples):
    """Killed between one table and the next: no row is gone, and none has moved."""
    for second in range(1000, 1010):
        write(samples, second)
    before = seconds(samples)
    done = subprocess.run(
        [sys.executable, "-c", KILLED_IN_THE_MIDDLE, str(tmp_path / "samples.sqlite"), "2000"], check=False
    )

    assert -signal.SIGKILL == done.returncode
    assert before == seconds(samples)
    assert 960 == samples.move_up_to(1009 + 999)


def test_samples_are_kept_as_long_as_their_instance_keeps_them(samples):
    """Seven days, and 465 of an instance whose retention says so."""
    now = int(time.time())
    for days in (9, 400, 470):
        write(samples, now - days * 86400)
    samples.prune(now, {"db-A": 465})
    longer = seconds(samples)["tick"]
    samples.prune(now, {})

    assert ([("db-A", now - 400 * 86400), ("db-A", now - 9 * 86400)], []) == (longer, seconds(samples)["tick"])


def test_what_is_too_old_goes_while_the_sandbox_runs(tmp_path, samples):
    """At the start, and at each round after it."""
    now = int(time.time())
    write(samples, now - kept_seconds(7) - 60)
    write(samples, now)
    points = Datapoints(tmp_path / "metrics.sqlite")
    retention = Retention(points, samples, dict, seconds=0.05)
    try:
        assert [("db-A", now)] == soon([("db-A", now)], lambda: seconds(samples)["tick"])
        write(samples, now - kept_seconds(7) - 30)
        assert [("db-A", now)] == soon([("db-A", now)], lambda: seconds(samples)["tick"])
    finally:
        retention.stop()
        points.close()


def test_a_file_of_an_earlier_version_is_widened(tmp_path):
    """What it has is served on; columns that it lacks are empty."""
    path = tmp_path / "old.sqlite"
    with sqlite3.connect(path) as old:
        old.executescript("""
            CREATE TABLE session (resource TEXT, second INTEGER, pid INTEGER, db TEXT, "user" TEXT, application TEXT, host TEXT,
                session_type TEXT, wait_type TEXT, wait_event TEXT, sql_id TEXT, tokenized_id TEXT, db_id TEXT);
            CREATE TABLE executed (resource TEXT, second INTEGER, db_id TEXT, calls INTEGER, milliseconds REAL, rows INTEGER);
            INSERT INTO executed VALUES ('db-A', 7, 'q', 3, 1.5, 2)""")
    old.close()
    opened = Samples(path)
    write(opened, 8)

    assert [(7, 3, None), (8, 1, 1)] == opened.read(
        "SELECT second, calls, temp_blks_read FROM executed ORDER BY second"
    )
    assert [(BLOCKING[0],)] == opened.read("SELECT blocking_session FROM session")
    opened.close()


def test_counted_hours_say_what_their_sessions_say(samples):
    """A window of two whole hours and the parts around them, counted from the hours and from each session: the same."""
    start = 1_764_000_000 // HOUR * HOUR - 600
    for at in range(start, start + 3 * HOUR, 50):
        write(samples, at, text=f"SELECT {at % 3}")
        if at % 100:
            write(samples, at, "db-B")
    window = Window(samples, "db-A", start + 100, start + 3 * HOUR - 70)
    narrow = window.narrowed({"wait_event": "CPU"})
    before = [(one.ticks, one.counts(["wait_event"], ["application"])) for one in (window, narrow)]
    samples.count_hours(start + 3 * HOUR + 61)
    samples.count_hours(start + 3 * HOUR + 61)  # once more counts nothing twice
    again = Window(samples, "db-A", window.start, window.end)
    after = [
        (one.ticks, one.counts(["wait_event"], ["application"]))
        for one in (again, again.narrowed({"wait_event": "CPU"}))
    ]

    assert before == after
    assert [(start + 600, 72), (start + 600 + HOUR, 72)] == again._hours
    assert 3 == len(again.counts(["sql_id"], []))  # of which hours know nothing


def test_an_hour_is_counted_when_it_is_over(samples):
    """No sample is still to come a minute later; a move makes other hours of all."""
    hour = 1_764_000_000 // HOUR * HOUR
    write(samples, hour - 1)
    write(samples, hour)
    samples.count_hours(hour + HOUR + 59)
    early = samples.read("SELECT second, ticks FROM hour")
    samples.count_hours(hour + HOUR + 60)

    assert ([], [(hour, 1)]) == (early, samples.read("SELECT second, ticks FROM hour"))
    samples.move_up_to(hour + 600)
    assert [] == samples.read("SELECT * FROM hour UNION ALL SELECT second, number, db FROM hourly")
