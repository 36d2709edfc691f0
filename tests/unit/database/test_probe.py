"""What a client's record says of an interruption, to the attempt."""

import pytest

from aurora_ops.database.probe import Attempt, Record


def record(*attempts: tuple[float, float, str]) -> Record:
    return Record([Attempt(number, *one) for number, one in enumerate(attempts, start=1)])


CALM = [(n, n + 0.5, "") for n in range(5)]


@pytest.mark.parametrize(
    ("attempts", "gap"),
    [
        ([*CALM, (5, 5.5, "AdminShutdown"), (8, 9, "")], (4.5, 9)),  # from answer to answer
        ([*CALM, (5, 9, "")], (4.5, 9)),  # slow is not answered either, though nothing failed
        ([*CALM, (5, 5.5, "AdminShutdown"), (8, 9, "AdminShutdown")], (4.5, 9)),  # never again
        ([(1.0, 4.0, "OperationalError"), (4.1, 4.2, "")], (1.0, 4.2)),  # not yet
        ([(1.0, 4.0, "OperationalError")], (1.0, 4.0)),
        ([], (0.0, 0.0)),
    ],
)
def test_the_gap_is_the_longest_time_without_an_answer(attempts, gap):
    assert gap == record(*attempts).gap()


def test_a_gap_that_ended_before_the_call_is_not_the_calls():
    """A stall of before does not count, one that was going on at the call does."""
    met = record((0.0, 0.1, ""), (0.2, 5.0, ""), (5.1, 5.2, ""), (5.3, 6.0, ""))

    assert (0.1, 5.0) == met.gap()
    assert (0.1, 5.0) == met.gap(since=4.0)
    assert (5.2, 6.0) == met.gap(since=5.0)
    assert pytest.approx(0.8) == met.gap_seconds(since=5.0)


def test_before_and_since_part_the_attempts_by_their_end():
    met = record((0.0, 0.1, ""), (0.2, 1.5, "AdminShutdown"), (1.6, 1.7, ""))

    assert ([1], [2, 3]) == ([a.number for a in met.before(1.0).attempts], [a.number for a in met.since(1.0).attempts])
    assert ([1, 3], [2]) == ([a.number for a in met.answered], [a.number for a in met.failed])
