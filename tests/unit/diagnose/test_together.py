"""Findings of the load and causes from the database in one order: a cause comes in place of what it explains, and nothing is claimed that was not seen."""

from aurora_ops.diagnose.causes import together
from aurora_ops.diagnose.causes.cause import Cause, Look
from aurora_ops.diagnose.causes.looks import Looks
from aurora_ops.load.findings import Finding

QUEUE = Finding("Sessions queue for a processor", "e", "Look at the plan.", 3.0, "since 03:00", "A1", "CPU")
LOCKS = Finding("Sessions wait for each other's rows", "e", "End it.", 5.0, "since 03:01", "B2", "Lock")
INDEX = Cause("No index for SELECT from t", "e", "a", "CREATE INDEX", 2.8, statements=frozenset({"A1"}))
HOLDER = Cause("batch holds up 5 sessions", "e", "a", "SELECT 1", 5.0, kind="Lock")


def looks(*causes, **options):
    return Looks((Look("plans", "?", causes, **options),))


def titles(findings, found):
    return [one.title for one in together.ranked(findings, found)]


def test_a_cause_takes_the_place_of_the_finding_that_it_explains():
    """The index and not the processor; the holder and not the wait, with the time that the load knows."""
    told = together.ranked((LOCKS, QUEUE), looks(INDEX, HOLDER))

    assert [("batch holds up 5 sessions", "since 03:01"), ("No index for SELECT from t", "since 03:00")] == [
        (one.title, one.when) for one in told
    ]


def test_what_a_cause_explains_in_part_only_stays_with_the_rest():
    """An index for a fifth of the queue leaves four fifths of it to be told."""
    small = Cause("No index for SELECT from t", "e", "a", "", 0.6, statements=frozenset({"A1"}))

    assert [("Sessions queue for a processor", 2.4), ("No index for SELECT from t", 0.6)] == [
        (one.title, round(one.sessions, 1)) for one in together.ranked((QUEUE,), looks(small))
    ]


def test_urgent_comes_before_costly_and_costly_before_what_costs_nothing_yet():
    """A sequence at its end stops the service, whatever waits; an invalid index waits its turn."""
    end, broken = Cause("Sequence s", "e", "a", urgent=True), Cause("Index i is invalid", "e", "a")

    assert ["Sequence s", "Sessions wait for each other's rows", "Index i is invalid"] == titles(
        (LOCKS,), looks(broken, end)
    )


def test_connections_that_are_free_again_are_told_and_no_longer_first():
    """The service saw them used up within the window; the look at this moment does not."""
    full = Finding(
        "The connections are nearly used up", "e", "a", when="first seen at 03:00 UTC", kind="connections", urgent=True
    )
    (now,) = together.ranked((full,), Looks(reason="a recording holds the load alone"))
    after = together.ranked((full, LOCKS), Looks((Look("sessions", "?"),)))

    assert (True, "first seen at 03:00 UTC") == (now.urgent, now.when)
    assert [LOCKS.title, full.title] == [one.title for one in after]
    assert (False, "first seen at 03:00 UTC, not at this moment") == (after[1].urgent, after[1].when)


def test_more_capacity_is_never_proposed_without_a_word_about_the_plan():
    """Looked at and sound, or not looked at and why."""
    (seen,) = together.ranked((QUEUE,), looks(examined=frozenset({"A1"})))
    (refused,) = together.ranked((QUEUE,), looks(not_looked="SELECT from t A1: permission denied", looked=False))
    (closed,) = together.ranked((QUEUE,), Looks(reason="a recording holds the load alone"))

    assert seen.action.endswith("Its plan was looked at: no scan for few rows, no spill and no stale statistics in it.")
    assert refused.action.endswith("Its plan was not looked at: SELECT from t A1: permission denied.")
    assert closed.action.endswith("Its plan was not looked at: a recording holds the load alone.")


def test_nothing_to_do_needs_every_look():
    """Healthy is said only where all was looked at; else what was not is named."""
    whole = together.what_to_do((), looks(), True)
    partly = together.what_to_do((), looks(not_looked="denied"), True)
    load_alone = together.what_to_do((), Looks(reason="it is a recording"), True)
    nothing = together.what_to_do((), Looks(reason="it is a recording"), False)

    assert "nothing to do: load, sessions, plans and upkeep were looked at, and nothing stands out" == repr(whole)
    assert "no wait and no queue for a processor stands out in the load; not looked at: plans: denied" == repr(partly)
    assert "no wait and no queue for a processor stands out in the load; not looked at: it is a recording" == repr(
        load_alone
    )
    assert "nothing to advise: there is no data; the database was not wholly looked into" == repr(nothing)
