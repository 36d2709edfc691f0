"""Which databases a server has that can hold a user's data."""

import psycopg

_NAMES = "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate AND datname <> 'rdsadmin' ORDER BY datname"


def names(connection: psycopg.Connection) -> tuple[str, ...]:
    """Those that accept connections, without templates and without RDS's own, which nobody else may enter."""
    return tuple(str(name) for (name,) in connection.execute(_NAMES).fetchall())
