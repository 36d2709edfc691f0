"""What a file holds before it is decided which of it is the capacity: series with what their labels say."""

from dataclasses import dataclass

import pandas as pd

from aurora_ops.capacity.demand import Floats
from aurora_ops.cost.readers.files.labels import Label


@dataclass(frozen=True, eq=False)
class Series:
    """One series: when, how much, and what the file says about it. `seconds` are the lengths of the samples, where the file has them."""

    label: str  # as it stands in the file
    what: Label
    utc: pd.DatetimeIndex
    values: Floats
    seconds: Floats | None = None
    percent: bool = False
    told: str = ""  # how the times were written


@dataclass(frozen=True, eq=False)
class Found:
    """All series of a file. `kind` names its format."""

    kind: str
    series: tuple[Series, ...]
