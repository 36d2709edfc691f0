"""Loads to plan with, by name: a packaged recording, a usage profile, or a history of your own from a file."""

import json
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from aurora_ops import demand, profiles, simulation
from aurora_ops.acu import AcuRange
from aurora_ops.capacity_history import History, of_samples
from aurora_ops.demand import Demand
from aurora_ops.errors import InputError, did_you_mean

RECORDED = "recorded"
PROFILE_DAYS = 14


class UnknownLoadError(InputError):
    """`source` names no recording, no profile and no file."""


@dataclass(frozen=True, eq=False)
class Load:
    """A demand and what it is. `measured` says that it is a capacity in ACU, which no relation to processors changes."""

    name: str
    about: str
    demand: Demand
    measured: bool


@cache
def recording() -> dict[str, Any]:
    """The packaged recording as it stands in its file, with its source."""
    return json.loads((files("aurora_ops") / "data" / "rds-cpu.json").read_text())


def load(source: str, vcpus: float, vcpu_per_acu: float) -> Load:
    """The load called `source`: "recorded", the name of a usage profile, or the path of a CSV or Parquet history.

    A recording and a profile are shares of `vcpus` processors, and become ACU through `vcpu_per_acu`; a profile's 1 is all
    of them. A history is in ACU already; its gaps are taken to be like what came before them.

    Raises
    ------
    UnknownLoadError, HistoryError, DemandError
        No such load, a file that is no history, or a relation that is out of bounds.
    """
    if source == RECORDED:
        data = recording()
        series = demand.of_cpu(data["cpu_percent"], vcpus, vcpu_per_acu, data["seconds"])
        days = series.hours / 24
        words = (
            f"{days:.0f} days of a real RDS instance's processor load ({data['source'].split(',')[0]}), on {vcpus:g} vCPU, "
            "means of five minutes"
        )
        return Load("recorded", words, series, measured=False)
    if source in profiles.names():
        series = demand.of_profile(profiles.profile(source), vcpus / vcpu_per_acu, PROFILE_DAYS)
        words = f"the assumed profile {source}, on {vcpus:g} vCPU: hourly means, so shorter peaks are missing"
        return Load(source, words, series, measured=False)
    found = read_history(source)
    words = f"{found.hours / 24:.1f} days of measured capacity of {found.instance}, {len(found.gaps)} gaps"
    return Load(Path(source).stem, words, found.demand("previous"), measured=True)


def read_history(source: str) -> History:
    """The history in a file whose name ends in .csv or .parquet.

    Raises
    ------
    UnknownLoadError, HistoryError
        No such kind of file, or a file that is no history.
    """
    if not source.endswith((".csv", ".parquet")):
        raise UnknownLoadError(
            f"source={source!r} is no load, so nothing can be planned for. {did_you_mean(source, [RECORDED, *profiles.names()])} "
            "A path ends in .csv or .parquet."
        )
    from aurora_ops import history  # brings boto3, which nothing else here needs

    return (history.read_parquet if source.endswith(".parquet") else history.read_csv)(source)


def simulated_history(acu_range: AcuRange, vcpus: float, vcpu_per_acu: float) -> History:
    """What an instance with this range would have had under the recording: **simulated**, for want of a public history."""
    series = load(RECORDED, vcpus, vcpu_per_acu).demand
    index = pd.date_range(
        datetime.fromisoformat(recording()["start"]), periods=series.acu.size, freq=f"{series.seconds:g}s"
    )
    capacity = simulation.capacity(series, acu_range)
    return of_samples("simulated-writer", pd.DataFrame({"capacity_acu": capacity, "connections": np.nan}, index=index))
