"""The text of a statement without what may be personal in it."""

import re

# First what stays: parameters. A text that was cut off may end inside a literal.
_PARTS = re.compile(
    r"(?P<parameter>\$\d+)|\$(?P<tag>[a-zA-Z_]\w*|)\$.*?(?:\$(?P=tag)\$|$)|[eE]'(?:[^'\\]|\\.|'')*(?:'|$)|'(?:[^']|'')*(?:'|$)|\b\d+(?:\.\d+)?\b",
    re.DOTALL,
)


def without_values(query: str) -> str:
    r"""A statement with `?` in place of each literal: they may be personal data.

    >>> without_values("UPDATE t SET name = 'O''Hara', n = 4.5 WHERE id = 17 -- t2")
    'UPDATE t SET name = ?, n = ? WHERE id = ? -- t2'
    >>> without_values("SELECT $1, $body$ a 'quoted' text $body$, E'it\\'s', 'cut off in the midd")
    'SELECT $1, ?, ?, ?'
    """
    return _PARTS.sub(lambda found: found["parameter"] or "?", query)
