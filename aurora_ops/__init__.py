"""Operate Aurora PostgreSQL Serverless v2: what it costs, why it is slow, and whether a backup comes back.

Notebooks call this package and hold no logic of their own. An import only ever points down: from procedures to readers,
from readers to the session, and from there to the domain's pure functions (see docs/decisions).
"""
