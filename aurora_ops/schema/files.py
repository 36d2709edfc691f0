"""Reading a folder of schema files: which are taken and in which order, and what in them cannot be run as meant.

One convention: `NNN_what_it_does.sql`, three digits, lower case, directly in the folder. A file is one transaction. One whose
first line is `-- no-transaction` holds one statement that PostgreSQL refuses inside a transaction, such as CREATE INDEX
CONCURRENTLY. What other tools' files hold beside plain SQL is refused by line, before anything runs.
"""

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path

from aurora_ops.core.errors import InputError

_FILE_NAME = re.compile(r"(\d{3})_[a-z0-9_]+\.sql")
_NAME_IT = "Name it like 002_what_it_does.sql."
_DESTROYS = re.compile(r"\b(DROP|TRUNCATE|DELETE\s+FROM)\b", re.IGNORECASE)
_NO_TRANSACTION = re.compile(r"--\s*no-transaction\s*", re.IGNORECASE)
# The second half of a file that holds both directions: run as a whole, it undoes itself.
_DOWN = re.compile(
    r"^\s*--\s*(?:migrate:down|\+goose\s+down|\+migrate\s+down|\+micrate\s+down|//@undo|down\s+migration\b|-*\s*create\s+above\s*/\s*drop\s+below)",
    re.I | re.M,
)
_CONCURRENTLY = re.compile(r"\bCREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY\b", re.IGNORECASE)
_MARK = re.compile(r"\s*--\s*no-transaction\b", re.IGNORECASE)
# Only in a file of Liquibase: elsewhere the word begins an ordinary comment.
_LIQUIBASE = re.compile(r"\A\s*--\s*liquibase\s+formatted\s+sql\b.*?^\s*--\s*rollback\b", re.I | re.M | re.S)
_QUOTED = re.compile(
    r"""(?P<comment>--[^\n]*)
      | (?P<block>/\*)
      | (?P<dollar>(?<![\w$])\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$)
      | (?P<escaped>\b[eE]'(?:\\.|''|[^'\\])*')
      | (?P<text>'(?:''|[^'])*')
      | (?P<name>"(?:""|[^"])*")""",
    re.VERBOSE | re.DOTALL,
)
_PSQL = re.compile(r"^[^\S\n]*\\(\w+|[!?]).*$", re.MULTILINE)
_HARMLESS = {"restrict", "unrestrict"}  # what pg_dump writes since August 2025, around what it has always written
_ATOMIC = re.compile(r"\bBEGIN\s+ATOMIC\b.*?;\s*END\b", re.I | re.S)  # the body of a function in SQL
_COPY_STDIN = re.compile(r"\bCOPY\b[^;]*\bFROM\s+STDIN\b", re.IGNORECASE)
_TRANSACTION = re.compile(
    r"(?:\A|;)\s*(BEGIN(?!\s+ATOMIC)\b|START\s+TRANSACTION\b|COMMIT\b|ROLLBACK\b|ABORT\b|END\b(?=\s*(?:;|\Z|WORK|TRANSACTION)))",
    re.I,
)


class SchemaFilesError(InputError):
    """The files cannot be run as they are meant. Nothing was run."""


@dataclass(frozen=True)
class SchemaFile:
    """One file. Its hash is over the text as it is run, so a byte order mark, or line ends of Windows, are no edit."""

    version: int
    name: str
    text: str = field(repr=False)

    @property
    def sha256(self) -> str:
        """Hash of the text with LF line ends."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def destroys(self) -> bool:
        """Whether a word in it speaks of deleting. It errs on the safe side: the word may stand in a comment."""
        return bool(_DESTROYS.search(self.text))

    @property
    def in_transaction(self) -> bool:
        """Whether it is run in a transaction; its first line says if not."""
        return not _NO_TRANSACTION.fullmatch(self.text.partition("\n")[0])


def read(directory: Path) -> list[SchemaFile]:
    """All schema files of a folder by version. A folder without any is refused: to load nothing would look like success.

    Raises
    ------
    SchemaFilesError
        A file's name, encoding or content leaves room for guesses; the message has the file, the line and what to do.
    """
    found: dict[int, SchemaFile] = {}
    for path in sorted(path for path in directory.glob("*") if path.suffix.lower() == ".sql" and path.is_file()):
        match = _FILE_NAME.fullmatch(path.name)
        if not match:
            raise SchemaFilesError(f"{path.name} does not tell its place in the order, so nothing was run. {_NAME_IT}")
        number = int(match[1])
        if number in found:
            raise SchemaFilesError(
                f"{found[number].name} and {path.name} have the same number, so their order is a guess. Renumber the newer one."
            )
        found[number] = _checked(SchemaFile(number, path.name, _text(path)))
    if not found:
        raise SchemaFilesError(f"{directory} holds no schema file, so there is nothing to load. {_NAME_IT}")
    return [found[number] for number in sorted(found)]


def not_taken(directory: Path) -> list[str]:
    """The SQL files below the folder that `read` does not take, because they lie deeper: a person may have meant them."""
    return sorted(
        str(path.relative_to(directory)) for path in directory.glob("*/**/*") if path.suffix.lower() == ".sql"
    )


def _text(path: Path) -> str:
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise SchemaFilesError(
            f"{path.name} is not UTF-8 ({error}), so its text is a guess. Save it as UTF-8."
        ) from None


def _checked(file: SchemaFile) -> SchemaFile:
    if down := _DOWN.search(file.text) or _LIQUIBASE.search(file.text):
        raise SchemaFilesError(
            f"{file.name} line {_line(file.text, down.end())} is {down.group().strip().splitlines()[-1].strip()!r}: the file holds a way up and a way down, and as a "
            "whole it would undo itself. Nothing was run. Keep the part that goes up; undo by a later file."
        )
    first, *others = file.text.split("\n")
    if any(_MARK.match(line) for line in others) or (_MARK.match(first) and file.in_transaction):
        raise SchemaFilesError(
            f"{file.name} says no-transaction, but not as its whole first line, where it counts. Nothing was run. Make the first line `-- no-transaction`."
        )
    code = _ATOMIC.sub(lambda body: re.sub(r"[^\n]", " ", body.group()), without_quoted(file.text))
    if not code.strip("; \n\t\r"):
        raise SchemaFilesError(
            f"{file.name} holds no statement, so to apply it would prove nothing. Write it, or delete it."
        )
    text = file.text
    for command in _PSQL.finditer(code):
        if command[1] not in _HARMLESS:
            raise SchemaFilesError(
                f"{file.name} line {_line(text, command.end())} is \\{command[1]}, a command of the program psql and no SQL, so nothing was run. "
                "Write what it does as SQL, or run this file by psql."
            )
        text = text[: command.start()] + " " * (command.end() - command.start()) + text[command.end() :]
    if copy := _COPY_STDIN.search(code):
        raise SchemaFilesError(
            f"{file.name} line {_line(text, copy.end())} is COPY … FROM STDIN, whose rows only psql sends, so nothing was run. "
            "Use INSERT, or load the rows by psql."
        )
    if control := _TRANSACTION.search(code):
        raise SchemaFilesError(
            f"{file.name} line {_line(text, control.end())} is {' '.join(control[1].split()).upper()}: each file is a transaction of its own, and "
            "one inside it would keep half of the file after an error. Nothing was run. Take the statement out, or make two files."
        )
    if not file.in_transaction and (number := sum(bool(one.strip()) for one in code.split(";"))) != 1:
        raise SchemaFilesError(
            f"{file.name} is marked `-- no-transaction` and holds {number} statements: after an error it would be half done. "
            "Nothing was run. Give each statement such a file of its own."
        )
    if _CONCURRENTLY.search(code) and not concurrent_index(text):
        raise SchemaFilesError(
            f"{file.name} creates an index CONCURRENTLY without naming it, so what a failure leaves of it could not be found again. "
            "Nothing was run. Give the index a name."
        )
    return SchemaFile(file.version, file.name, text)


def without_quoted(text: str, *, names: bool = False) -> str:
    """The text with comments, strings, dollar quotes and quoted names blanked, each character by a blank, lines kept.

    With `names`, quoted names stay.

    >>> without_quoted("SELECT 'a;b', x -- c;").split()
    ['SELECT', ',', 'x']
    """
    parts, at = [], 0
    while match := _QUOTED.search(text, at):
        end = _end_of_block(text, match.end()) if match["block"] else match.end()
        kept = names and match["name"] is not None
        parts += [text[at : match.start()], match.group() if kept else re.sub(r"[^\n]", " ", text[match.start() : end])]
        at = end
    return "".join([*parts, text[at:]])


def _end_of_block(text: str, at: int) -> int:
    """Where a block comment ends; PostgreSQL's are nested."""
    depth = 1
    for mark in re.finditer(r"/\*|\*/", text[at:]):
        depth += 1 if mark.group() == "/*" else -1
        if not depth:
            return at + mark.end()
    return len(text)


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def concurrent_index(text: str) -> tuple[str, str] | None:
    """Name and table of the index that a file creates CONCURRENTLY, the name as the catalog has it; None where it creates none.

    >>> concurrent_index('CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS /* why */ By_Day ON ONLY app.sales (day)')
    ('by_day', 'app.sales')
    """
    word = r'(?:"(?:""|[^"])+"|[\w$]+)'
    found = re.search(
        rf"\bINDEX\s+CONCURRENTLY\s+(?:IF\s+NOT\s+EXISTS\s+)?(?!ON\b)({word})\s+ON\s+(?:ONLY\s+)?({word}(?:\s*\.\s*{word})?)",
        without_quoted(text, names=True), re.IGNORECASE,
    )  # fmt: skip
    if not found:
        return None
    name = found[1][1:-1].replace('""', '"') if found[1].startswith('"') else found[1].lower()
    return name, found[2]
