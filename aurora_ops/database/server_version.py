"""Which server it really was: a verdict about a database rests on the version that answered, not on the one that was asked for."""

import psycopg

from aurora_ops.core.display import Check


def check(engine_version: str, connection: psycopg.Connection) -> tuple[Check, ...]:
    """Nothing where the server is of the cluster's major version; otherwise a SKIP that says which it was.

    In Aurora they are the same. The sandbox serves a cluster by the PostgreSQL that is installed on the machine.
    """
    told = sentence(engine_version, connection.info.server_version)
    return (Check("the cluster's own version of PostgreSQL", "SKIP", told),) if told else ()


def sentence(engine_version: str, server_version: int) -> str:
    """What to say of a cluster of this version whose server has this number; empty where both are of one major.

    >>> sentence("15.10", 150018)
    ''
    >>> sentence("16.10", 150018)
    'the server was PostgreSQL 15.18, not 16.10: what is told of it is not told of version 16'
    """
    major, minor = divmod(server_version, 10000)
    own = engine_version.partition(".")[0]
    if own == str(major):
        return ""
    return f"the server was PostgreSQL {major}.{minor}, not {engine_version}: what is told of it is not told of version {own}"
