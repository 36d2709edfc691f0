"""The parameters that mean the same on every page that has them: declared once, and held to this table by a test."""

from typing import NamedTuple


class Common(NamedTuple):
    """One parameter as it stands in a parameters cell."""

    annotation: str
    default: str
    comment: str

    def line(self, name: str) -> str:
        """The line of a parameters cell."""
        return f'{name}: {self.annotation} = "{self.default}"  # {self.comment}'


OF_CLUSTER = {
    "cluster": Common("str", "", "identifier, ARN or endpoint host of any cluster; empty: the environment's"),
    "database": Common("str", "", 'one of its databases; empty: its first; "*", where a page can take them all: all'),
    "login": Common("str", "", "empty: found; or secret:NAME-OR-ARN, iam:USER, env: for libpq's own variables and passfile"),
}  # fmt: skip
OF_PRICES = {
    "prices": Common("Prices", "packaged", '"packaged", "live" (AWS\'s list, by the target), or a folder of price list files'),
    "discount": Common("Discount", "", 'percent under the list price by item: "acu_hour=12.5, all=5"; empty: none'),
}  # fmt: skip
COMMON = OF_CLUSTER | OF_PRICES
