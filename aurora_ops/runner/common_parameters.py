"""The parameters that mean the same on every page that has them: declared once, and held to this table by a test."""

from typing import NamedTuple


class Common(NamedTuple):
    """One parameter as it stands in a parameters cell."""

    annotation: str
    default: str | float
    comment: str

    def line(self, name: str) -> str:
        """The line of a parameters cell."""
        default = f'"{self.default}"' if isinstance(self.default, str) else self.default
        return f"{name}: {self.annotation} = {default}  # {self.comment}"


OF_CLUSTER = {
    "cluster": Common("str", "", "identifier, ARN or endpoint host of any cluster; empty: the environment's"),
    "database": Common("str", "", 'one of its databases; empty: its first; "*", where a page can take them all: all'),
    "login": Common("str", "", "empty: found; or secret:NAME-OR-ARN, iam:USER, env: (libpq's own variables)"),
}  # fmt: skip
OF_PRICES = {
    "prices": Common("Prices", "packaged", '"packaged", "live" (AWS\'s list), or a folder of price list files'),
    "discount": Common("Discount", "", 'percents under the list price, by item; empty: none'),
}  # fmt: skip
# How much of a cluster is read for a restore, and how gently; `statement_timeout` means something else where no rows are read.
OF_READING = {
    "depth": Common("str", "full", "full, sampled or quick: how many of the rows are read"),
    "sample_percent": Common("float", 10.0, "with depth sampled: of each table, at random"),
    "proved_percent": Common("float", 90.0, 'under this share of the rows it is "proved in part"'),
    "read_from": Common("str", "auto", "of the source's rows: auto (a reader, if it can), reader, writer"),
    "max_read_mib_per_second": Common("NotNegative", 0.0, "from the source's tables; 0: no limit"),
    "statement_timeout": Common("Duration", "10min", "of each statement at the source"),
    "max_horizon_seconds": Common("NotNegative", 3600.0, "stops where vacuum is held up for longer; 0: never"),
    "max_replica_lag_seconds": Common("NotNegative", 10.0, "stops where a reader is further behind; 0: never"),
}  # fmt: skip
COMMON = OF_CLUSTER | OF_PRICES
