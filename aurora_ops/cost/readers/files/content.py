"""From a path to text: encodings, compression, and what is no table at all."""

import codecs
import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path

from aurora_ops.capacity.history import HistoryError

PARQUET = b"PAR1"
_GZIP = b"\x1f\x8b"
# What a file is that begins so, and what to do with it.
_NO_TEXT = {
    b"PK\x03\x04": "is an Excel workbook or another ZIP archive, and cells are not read from it; save the sheet as CSV, or unpack the archive",
    b"\xd0\xcf\x11\xe0": "is an old Excel workbook, and cells are not read from it; save the sheet as CSV",
    b"%PDF": "is a PDF, which holds no numbers that can be read; export CSV or JSON",
}
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig", "UTF-8"),
    (codecs.BOM_UTF32_LE, "utf-32", "UTF-32"),  # before UTF-16, whose mark is its beginning
    (codecs.BOM_UTF32_BE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16"),
)
_MOST_BYTES = 1 << 30


@dataclass(frozen=True)
class Content:
    """What a file holds: `text`, or nothing where it is Parquet. `encoding` is named where it is not plain UTF-8."""

    path: Path
    text: str
    encoding: str = ""
    is_parquet: bool = False


def read(path: Path) -> Content:
    """The text of a file, whatever wrote it: UTF-8, UTF-16 with or without a mark, Japanese Windows (cp932), gzip.

    Raises
    ------
    HistoryError
        No such file, a folder, nothing in it, or something that is no text.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise HistoryError(f"{path} does not exist: there is no history to read; check the path.") from None
    except IsADirectoryError:
        raise HistoryError(f"{path} is a folder, and a history is one file; give the path of a file in it.") from None
    except OSError as error:
        raise HistoryError(f"{path} cannot be read ({error.strerror}); check who may read it.") from None
    if raw.startswith(_GZIP):
        raw = _unpacked(path, raw)
    if raw.startswith(PARQUET):
        return Content(path, "", is_parquet=True)
    for begin, words in _NO_TEXT.items():
        if raw.startswith(begin):
            raise HistoryError(f"{path.name} {words}.")
    if not raw.strip(b"\0 \t\r\n"):
        raise HistoryError(
            f"{path.name} is empty: nothing was measured, which is not the same as 0 ACU. Export it again."
        )
    text, encoding = _decoded(path, raw)
    if not text.strip():
        raise HistoryError(
            f"{path.name} is empty: nothing was measured, which is not the same as 0 ACU. Export it again."
        )
    return Content(path, text, encoding)


def _unpacked(path: Path, raw: bytes) -> bytes:
    try:
        with gzip.open(path) as packed:
            unpacked = packed.read(_MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise HistoryError(f"{path.name} is a broken gzip file ({error}); fetch it again.") from None
    if len(unpacked) > _MOST_BYTES:
        raise HistoryError(f"{path.name} unpacks to over 1 GiB, which is no history of capacity; check the file.")
    return unpacked


def _decoded(path: Path, raw: bytes) -> tuple[str, str]:
    for mark, codec, name in _MARKS:
        if raw.startswith(mark):
            return _text(path, raw, codec, name), "" if name == "UTF-8" else name
    even, odd = raw[:1000:2].count(0), raw[1:1000:2].count(0)
    if max(even, odd) * 4 > len(raw[:1000]):  # Latin text in UTF-16 without a mark: every other byte is 0
        return _text(path, raw, "utf-16-be" if even > odd else "utf-16-le", "UTF-16"), "UTF-16"
    if b"\0" in raw:
        line = raw[: raw.index(b"\0")].count(b"\n") + 1
        raise HistoryError(
            f"{path.name}, line {line}: bytes of zero stand there, so this is no text, or was cut while it was written. Export it again."
        )
    try:
        return raw.decode("utf-8"), ""
    except UnicodeDecodeError:
        pass
    # Of a table only names can be in another encoding: digits are the same in all of these.
    for codec, name in (("cp932", "Japanese Windows (cp932)"), ("cp1252", "Western Windows (cp1252)")):
        try:
            return raw.decode(codec), name
        except UnicodeDecodeError:
            continue
    raise HistoryError(f"{path.name} is no text in UTF-8, UTF-16 or cp932; export CSV or JSON in UTF-8.")


def _text(path: Path, raw: bytes, codec: str, name: str) -> str:
    try:
        text = raw.decode(codec)
    except UnicodeDecodeError:
        raise HistoryError(
            f"{path.name} begins as {name} and does not go on so; it is cut or broken. Export it again."
        ) from None
    if "\0" in text:
        raise HistoryError(f"{path.name} is no text; export CSV or JSON.")
    return text
