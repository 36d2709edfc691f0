"""Pictures of sessions carry their figures: who waits behind whom, and who holds the connections."""

import io

import numpy as np
import pytest
from PIL import Image

from aurora_ops.diagnose import session_figures as figures
from aurora_ops.diagnose.blocking import Blocked, headline
from aurora_ops.diagnose.causes.looks import Looks


def session(root, depth, pid, who="web", state="active", wait="transactionid", seconds=3.0):
    return Blocked(
        root, depth, pid, 0, "app", who, state, wait if depth else None, seconds, seconds, True, "client backend", None, None,
        "UPDATE t SET a = 1", None,
    )  # fmt: skip


def holds(application, state, connections, limit=400, user="app"):
    return {"user_name": user, "application": application, "state": state, "connections": connections, "limit_for_users": limit}  # fmt: skip


def pixels(chart):
    return np.asarray(Image.open(io.BytesIO(chart.png)).convert("RGB")).reshape(-1, 3).astype(int)


def has_colour(chart, wanted):
    """Whether the picture has pixels of about this colour: a palette may shift each by a little."""
    red, green, blue = (int(wanted[i : i + 2], 16) for i in (1, 3, 5))
    return bool((np.abs(pixels(chart) - [red, green, blue]).max(axis=1) < 12).any())


def test_a_queue_is_drawn_as_a_tree():
    """The root first, each session a step further right than the one that it waits for, with how long it has waited."""
    found = [session(1, 0, 1, "batch", "idle in transaction", seconds=90), session(1, 1, 2), session(1, 2, 3, "report")]
    chart = figures.lock_trees(headline(found), found)

    assert (
        "CHART waiting for a lock: 2 sessions, behind 1 that waits for none: batch, pid 1: idle in transaction for 1 min 30 s; "
        "→ web, pid 2: has waited 3 s for transactionid; → → report, pid 3: has waited 3 s for transactionid"
    ) == repr(chart)
    assert len(chart.png) < 30_000


def test_of_a_long_queue_the_rest_is_counted():
    found = [session(1, 0, 1), *(session(1, 1, pid) for pid in range(2, 200))]
    chart = figures.lock_trees(headline(found), found)

    assert f"({199 - figures.MOST} more are not drawn)" in repr(chart)
    assert len(chart.png) < 30_000


def test_a_prepared_transaction_at_the_root_has_no_pid_and_no_state():
    prepared = session(0, 0, 0, None, None)._replace(state_seconds=None, user=None)

    assert "a prepared transaction: no session; → web, pid 2" in repr(
        figures.lock_trees("q", [prepared, session(0, 1, 2)])
    )


@pytest.mark.parametrize(("state", "colour"), sorted(figures._STATES.items()))
def test_connections_are_stacked_by_state_up_to_the_limit(state, colour):
    """Every state has its colour, in the row of all and in the row of its application."""
    chart = figures.connections([holds("web", state, 210), holds("batch", "idle in transaction", 20)])

    assert f"230 of 400 connections are taken, by user and application: web (app) 210 {state}" in repr(chart)
    assert has_colour(chart, colour)


def test_users_of_one_application_are_rows_of_their_own_and_the_rest_is_one():
    rows = [holds(f"service-{number}", "idle", 20 - number) for number in range(12)]
    chart = figures.connections([*rows, holds("service-0", "idle", 99, user="other"), holds("", None, 1)])

    assert "service-0 (other) 99 idle; service-0 (app) 20 idle" in repr(chart)
    assert len(chart.png) < 30_000


def test_there_are_no_pictures_of_what_was_not_looked_at():
    """And no tree where nobody waits."""
    one = (holds("web", "idle", 1),)

    assert [0, 1, 2] == [
        len(looks.pictures())
        for looks in (
            Looks(),
            Looks(connections=one),
            Looks(connections=one, queues=(session(1, 0, 1), session(1, 1, 2))),
        )
    ]
