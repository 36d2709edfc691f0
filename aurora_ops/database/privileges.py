"""A privilege in the database that a login lacks, said in a sentence: who, where, and what to do."""

from collections.abc import Callable
from typing import Any

import psycopg

from aurora_ops.core.errors import AuroraOpsError
from aurora_ops.database import asked


class PrivilegeError(AuroraOpsError, psycopg.errors.InsufficientPrivilege):
    """The user of a connection lacks a privilege. It is PostgreSQL's error, too, for whoever can go on without."""

    def __init__(self, error: psycopg.Error, user: str, database: str) -> None:
        psycopg.errors.InsufficientPrivilege.__init__(self, info=error.pgresult)
        self.args = (
            f"user {user} lacks a privilege in database {database} ({error.diag.message_primary}), and this needs it. "
            "Grant it, or name a login that has it: the cluster's master user does.",
        )


class Cursor(asked.Cursor):
    """psycopg's, which says so where a privilege lacks. `refusal` makes it a refusal as long as nothing was changed."""

    def __init__(
        self, connection: Any, *, refusal: Callable[[PrivilegeError], PrivilegeError], row_factory: Any = None
    ) -> None:
        super().__init__(connection, row_factory=row_factory)
        self._refusal = refusal

    def execute(self, query: Any, params: Any = None, **more: Any) -> "Cursor":
        """As psycopg's."""
        try:
            super().execute(query, params, **more)
        except psycopg.errors.InsufficientPrivilege as error:
            told = self.connection.info
            raise self._refusal(PrivilegeError(error, told.user, told.dbname)) from None
        return self
