"""Tables that stand in a database without a ledger of ours: the files' own by other means, or others', beside whom files may be added."""

from pathlib import Path

import psycopg

from aurora_ops.schema import foreign_ledgers, ledger
from aurora_ops.schema.catalog import Compared, compare, summary
from aurora_ops.schema.failures import SchemaChangedError
from aurora_ops.schema.files import SchemaFile


def beside(connection: psycopg.Connection, directory: Path, *, named: bool) -> str:
    """What of others stands in the database and will be left alone, in words; empty where there is nothing.

    Files of a folder that the person `named` may stand beside others' tables. The application's own, taken because no folder was
    named, may not: a database with tables that nobody accounts for is more likely the wrong one.

    Raises
    ------
    SchemaChangedError
        The files' own objects are there already, or there are tables and no folder was named.
    """
    tools = foreign_ledgers.recognised(connection)
    by = f"; ledger of {', '.join(tools)}" if tools else ""
    if ledger.history(connection):
        compared = compare(connection, directory)
        others = (*compared.others, *compared.unaccounted)
        return f"{summary(others)} of others{by}" if others else by.removeprefix("; ")
    compared = compare(connection, directory)
    if own := [one for one in compared.own if not one.part_of]:
        _refuse(compared, len(own))
    if compared.others and not named:
        raise SchemaChangedError(
            f"the database holds {summary(compared.others)} but no ledger: others created them{by}. Nothing was run. Check that it is the database you "
            "mean; to add files of your own beside them, name their folder (directory)."
        )
    return f"{summary(compared.others)} of others{by}" if compared.others else ""


def _refuse(compared: Compared, number: int) -> None:
    if not compared.difference:
        raise SchemaChangedError(
            "the database already is what the files amount to, but no ledger says so, and to run them would fail. "
            "Nothing was run. Record it: baseline=True."
        )
    raise SchemaChangedError(
        f"the database holds {ledger.counted(number, 'object')} of catalog.txt already, without a ledger, and is not what the files amount to: "
        f"{compared.difference.words()}. Nothing was run. Check that it is the database you mean; bring it to what the files say, "
        "then record that: baseline=True."
    )


def check_baseline(connection: psycopg.Connection, directory: Path) -> None:
    """Refuse to record files as applied where the database is not what they amount to.

    Raises
    ------
    SchemaChangedError
        The folder has no catalog, or the database differs from it.
    """
    compared = compare(connection, directory)
    if compared.expected is None:
        raise SchemaChangedError(
            f"{directory.name} has no catalog.txt, so nothing says what the files amount to, and to record them as applied would be a guess. Load them "
            "into an empty database (the sandbox's), run `aurora-ops schema catalog` there, and record them then."
        )
    unsound = ", ".join(one.name for one in compared.own if not one.sound)
    if compared.difference or unsound:
        what = compared.difference.words() or f"invalid or not enforced: {unsound}"
        raise SchemaChangedError(
            f"the database is not what the files amount to, so they were not recorded as applied: {what}. Bring one to the other, then run again."
        )


def record(connection: psycopg.Connection, directory: Path, files: list[SchemaFile]) -> None:
    """Write files into the ledger as applied, in one transaction, where the database is what they amount to. What else stands there is others'."""
    with connection.transaction():
        check_baseline(connection, directory)
        own = {ledger.key(one) for one in compare(connection, directory).own if not one.part_of}
        ledger.begin(connection, own)
        for file in files:
            ledger.note(connection, file, None, own if file is files[0] else ())
