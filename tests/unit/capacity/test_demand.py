"""ACU from processor load, beside what AWS's own toolkit makes of it."""

import csv

import numpy as np
import pytest
from places import SHARED
from processors import of_cpu

from aurora_ops.capacity import simulation
from aurora_ops.capacity.acu import VCPU_PER_ACU_BOUNDS, AcuRange
from aurora_ops.capacity.rules import DemandError, needed_acu
from aurora_ops.cost import profiles, sources
from aurora_ops.cost.profiles import profile

TRACE = SHARED / "traces" / "rds_cpu_utilization_e47b3b.csv"


def toolkit_typical_percent(p95, most):
    """acu_calculator.py's "typical" load: above every mean."""
    return 0.95 * p95 + 0.05 * most


def test_the_toolkits_acu_come_out_of_its_own_formula():
    """
    cost-cases.json, aws-toolkit-r6g.xlarge: p95 35 %, most 72 %, 4 vCPU at 0.25 vCPU an ACU: 6 ACU "typical", 12 at peak.
    """
    typical, peak = of_cpu([toolkit_typical_percent(35, 72), 72], vcpus=4, vcpu_per_acu=0.25, seconds=60).acu

    assert (6.0, 12.0) == (needed_acu(typical), needed_acu(peak))


def test_the_toolkits_typical_load_is_no_estimate_of_a_bill():
    """
    On fourteen real days its typical ACU, held all month, cost a third more than the capacity that the load really draws.
    """
    if not TRACE.exists():
        pytest.skip(f"{TRACE.name} is not beside this checkout: the real series are not part of the project")
    with TRACE.open() as file:
        cpu = np.array([float(row["value"]) for row in csv.DictReader(file)])
    load = of_cpu(cpu, vcpus=4, vcpu_per_acu=0.25, seconds=300)
    typical = needed_acu(toolkit_typical_percent(np.quantile(cpu, 0.95), cpu.max()) / 100 * 16)
    found = simulation.outcomes(load, [AcuRange(0.5, 16)])

    assert typical * load.hours / found.acu_hours[0] > 1.3


@pytest.mark.parametrize("vcpu_per_acu", [0.1, 2.0, float("nan")])
def test_the_relation_of_acu_and_vcpu_is_named_and_bounded(vcpu_per_acu):
    """
    There is no default: public tools differ four times, and the error says between what.
    """
    with pytest.raises(DemandError, match=r"0\.25 to 1"):
        sources.load("office-hours", vcpus=2, vcpu_per_acu=vcpu_per_acu)


def test_the_uncertain_relation_moves_the_demand_four_times():
    """
    The same profile of the same processors at both ends.
    """
    most, least = (sources.load("office-hours", 4, relation).demand.acu for relation in VCPU_PER_ACU_BOUNDS)

    assert pytest.approx(4) == most.mean() / least.mean()


def test_a_profile_is_a_week_of_demand():
    """
    Monday morning idle, Monday noon at a quarter of the peak, the weekend idle, and then again.
    """
    week = profiles.of_profile(profile("office-hours"), peak_acu=4, days=8, seconds=3600).acu

    assert (0.0, 1.0, 0.0) == (week[3], week[12], week[24 * 5 + 12])
    assert week[:24].tolist() == week[24 * 7 :].tolist()
