"""Parquet as a sheet: its columns are read as those of a CSV file are."""

from pathlib import Path

from aurora_ops.capacity.history import HistoryError
from aurora_ops.cost.readers.files.delimited import Sheet


def read(path: Path) -> Sheet:
    """The rows of a Parquet file, times with a zone in UTC.

    Raises
    ------
    HistoryError
        It cannot be read, or has no rows.
    """
    import duckdb  # read by this function only, and 0.2 s to import

    try:
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            found = connection.read_parquet(str(path))
            header, kinds = list(found.columns), [str(kind) for kind in found.types]
            cells = ", ".join(_as_text(name, kind) for name, kind in zip(header, kinds, strict=True))
            rows = found.project(cells).fetchall()
    except (duckdb.Error, ValueError) as error:
        raise HistoryError(
            f"{path} cannot be read as Parquet ({str(error).splitlines()[0]}); check the path."
        ) from None
    if not rows:
        raise HistoryError(f"{path.name} has no rows: nothing was measured, which is not the same as 0 ACU.")
    texts = [["" if cell is None else cell for cell in row] for row in rows]
    return Sheet(path.name, header, texts, list(range(1, len(rows) + 1)), {}, "Parquet")


def _as_text(name: str, kind: str) -> str:
    quoted = '"' + name.replace('"', '""') + '"'
    text = f"CAST({quoted} AS VARCHAR)"
    return (
        f"{text} AS {quoted}" if kind != "TIMESTAMP WITH TIME ZONE" else f"replace({text}, '+00', '+00:00') AS {quoted}"
    )
