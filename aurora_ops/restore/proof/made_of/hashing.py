"""Keeping what a cluster is made of without its contents: names stay, each property becomes a hash of its value.

A function's body, a column's default or a role's setting may hold a secret. A salt that each baseline draws for itself keeps equal values of two
baselines apart; it does not keep a short value from being guessed by who has the file.
"""

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any

from aurora_ops.restore.proof.made_of.catalogs import BULKY, Definitions
from aurora_ops.restore.proof.made_of.definitions import HASHED, Reading

_FIRST_OWN = 16384  # object id of the first that PostgreSQL does not bring with it


@dataclass(frozen=True)
class Hashing:
    """Of one baseline."""

    salt: bytes = b""

    def __call__(self, value: Any) -> str:
        """What is kept in place of a value."""
        text = json.dumps(value, sort_keys=True, default=str, ensure_ascii=False)
        return HASHED + hashlib.blake2b(text.encode(), key=self.salt, digest_size=8).hexdigest()

    def of_reading(self, found: Reading, *, with_built_in: bool = True) -> Reading:
        """The same reading, with hashes."""
        return replace(
            found,
            cluster=self._definitions(found.cluster, with_built_in=True),
            databases={
                name: self._definitions(one, with_built_in=with_built_in) for name, one in found.databases.items()
            },
            large_objects={
                name: None if one is None else {number: self(content) for number, content in one.items()}
                for name, one in found.large_objects.items()
            },
        )

    def _definitions(self, found: Definitions, *, with_built_in: bool) -> Definitions:
        return {
            key: replace(one, properties={name: self(value) for name, value in one.properties.items()})
            for key, one in found.items()
            if with_built_in or key.catalog not in BULKY or _number(key.row) >= _FIRST_OWN
        }


def _number(row: str) -> int:
    """The object id of a row whose key is that: "(16385)"."""
    inside = row.strip("()")
    return int(inside) if inside.isdigit() else _FIRST_OWN
