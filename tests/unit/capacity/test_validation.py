import pytest
import scaling_fit

from aurora_ops.capacity import validation
from aurora_ops.capacity.rules import MEASURED
from aurora_ops.capacity.validation import FITTED_ON, Comparison
from aurora_ops.core import environments
from aurora_ops.cost.studies import trust


@pytest.fixture(scope="module")
def compared():
    return {(one.run, one.kind, one.what.split(" (")[0]): one for one in validation.validate()}


def test_the_rules_in_use_are_those_that_the_fit_finds():
    """
    One parameter set, fitted on two runs: no constant was changed afterwards.
    """
    assert scaling_fit.fit() == MEASURED


def test_every_climb_above_4_acu_is_within_a_quarter(compared):
    """
    Two runs were fitted; the third, from 8 to 11 ACU, was not, and lies at the very edge (12 s for 16).
    """
    climbs = {
        key: one for key, one in compared.items() if one.kind == "climb" and key[0] in {*FITTED_ON, "min8_max32_t16"}
    }

    assert {True} == {one.holds for one in climbs.values()}
    assert 6 == len(climbs)
    assert pytest.approx(-0.25) == compared["min8_max32_t16", "climb", "8 to 11 ACU"].error


def test_what_the_rules_miss_is_shown(compared):
    """
    Climbs under one and four threads, a tick that freed nothing in one run, and the last half ACU of another.
    """
    missed = {key for key, one in compared.items() if not one.holds}

    assert missed == {
        ("min1_max4_t1", "climb", "1 to 2.5 ACU"),
        ("min1_max4_t4", "climb", "1 to 3 ACU"),
        ("min1_max4_t4", "climb", "3 to 4 ACU"),
        ("min1_max32_t16", "fall", "fall 1, to 5.5 ACU"),
        ("min1_max32_t16", "fall", "fall 2, to 1.5 ACU"),
        ("min1_max32_t16", "ACU-hours", "load and tail"),
        ("min4_max32_t16", "fall", "fall 2, to 4 ACU"),
    }


def test_acu_hours_are_judged_against_a_reconstruction_with_its_error_bar(compared):
    """
    Four of five runs meet it; the fifth is 16 % low, because its first tick after the load freed nothing.
    """
    errors = {key[0]: one.error for key, one in compared.items() if one.kind == "ACU-hours"}

    assert 5 == len(errors)
    assert pytest.approx(-0.16, abs=0.01) == errors["min1_max32_t16"]
    assert {True} == {abs(error) < 0.09 for run, error in errors.items() if run != "min1_max32_t16"}


def test_a_miss_cannot_be_called_a_hit():
    """
    A climb counts within 25 % only, a band only where it meets the other.
    """
    climb = Comparison("run", "climb", "1 to 2", (100, 100), (126, 126), fitted=False)
    fall = Comparison("run", "fall", "fall 1", (298, 298), (33, 216), fitted=False)

    assert (False, False) == (climb.holds, fall.holds)


def test_a_fit_on_other_runs_does_not_explain_the_rest():
    """
    Without the run from 4 ACU the lead comes out longer: seven climbs are few, and the parameters are not known better.
    """
    other = scaling_fit.fit(("min1_max32_t16", "min8_max32_t16"))
    climbs = {
        one.what: one.error for one in validation.validate(other) if one.run == "min4_max32_t16" and one.kind == "climb"
    }

    assert climbs["8 to 10.5 ACU"] < -0.4


@pytest.mark.slow
def test_no_other_falls_explain_runs_that_they_were_not_fitted_on():
    """
    The first tick of one run freed nothing, and the pool of two shrank in smaller steps. Thirty other pairs of quiet time and memory a
    tick were tried: fitted on two runs the best of them misses three figures of the others, where the rules in use miss none; and
    fitted on four runs at a time it is nearer in the fifth in two of five cases only, and worse in all.
    """
    others = [run.name for run in validation.runs() if run.name not in FITTED_ON]
    refitted = scaling_fit.fit_falls(FITTED_ON)
    left_out = []
    for run in validation.runs():
        best = scaling_fit.fit_falls([one.name for one in validation.runs() if one != run])
        left_out.append([scaling_fit.falls_error(rules, [run.name]) for rules in (best, MEASURED)])

    assert (3, 0) == (scaling_fit.falls_error(refitted, others)[0], scaling_fit.falls_error(MEASURED, others)[0])
    assert sum(best[0] for best, _ in left_out) >= sum(now[0] for _, now in left_out)
    assert sum(best[1] for best, _ in left_out) > sum(now[1] for _, now in left_out)


def test_the_note_shows_the_errors_that_the_simulator_makes():
    """
    Row by row what the notebook shows: a new fit is not committed with the table of the old one.
    """
    note = (environments.PROJECT_ROOT / "docs" / "decisions" / "cost-planning.md").read_text()
    rows = [row for row in trust.table()._repr_markdown_().splitlines() if row.startswith("| min")]

    assert 21 == len(rows)
    assert [] == [row for row in rows if row not in note]
