"""Where an idle instance rests: the default is computed from the observations, so that another one changes it."""

from dataclasses import replace

import pytest

from aurora_ops.capacity import idle
from aurora_ops.capacity.idle import Observation

SEEN = idle.observations()


def more(number, **change):
    """As many observations as there are, and `number` like the first but for `change`."""
    return (*SEEN, *(replace(SEEN[0], **change) for _ in range(number)))


def test_eight_of_eleven_count_and_rest_at_half_an_acu():
    """
    Those since 2024 with a floor of 0 or 0.5 and default parameters; each has its source, its condition and its date.
    """
    counted = [one for one in SEEN if one.counts]

    assert ([0.5] * 8, 11) == ([one.rest for one in counted], len(SEEN))
    assert all(one.source and one.condition and one.date >= "2022" for one in SEEN)


def test_another_observation_changes_the_default():
    """
    It is a median: nine that rest at 1.5 outweigh eight at 0.5, as many make the middle, in half steps.
    """
    assert [0.0, 0.5, 1.0] == [idle.over_floor_acu(more(number, rest=1.5)) for number in (7, 8, 9)]
    assert pytest.approx(0.1378) == idle.mean_over_rest(more(1, mean=0.6))


@pytest.mark.parametrize(
    "change",
    [{"date": "2023-12-31"}, {"floor": 1.0}, {"default_parameters": False}],
    ids=["too old", "another floor", "changed parameters"],
)
def test_what_is_another_question_does_not_count(change):
    assert 0.0 == idle.over_floor_acu(more(99, rest=2.5, **change))


def test_the_band_reaches_to_the_furthest_that_anybody_saw_with_default_parameters():
    """
    Whenever that was: 0.5 over the floor in 2022 and over a floor of 1. Parameters that hold memory are a case of their own.
    """
    assert [0.5, 2.0, 0.5] == [
        idle.most_over_floor_acu(seen)
        for seen in (SEEN, more(1, rest=2.5, date="2022"), more(1, rest=2.5, default_parameters=False))
    ]


def test_awake_a_floor_of_zero_is_half_an_acu():
    """
    So an observation over a floor of 0, or one that does not say, rests at its floor when it rests at 0.5.
    """
    assert [0.0] * 3 == [Observation("", "2026", floor, 0.5, None, "", True).over_floor_acu for floor in (0, 0.5, None)]
