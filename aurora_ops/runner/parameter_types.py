"""What a notebook declares: parameters, typed by the annotations in its `parameters` cell, and strict.

papermill guesses a type from how a value looks: an engine version 15.10 becomes the number 15.1, an account id loses
its leading zero, and a misspelt name is a warning while the run goes on with the default. Here the annotation decides,
and what the annotation does not allow is refused before a kernel starts. The types below are for use in such a cell.
"""

import ast
import io
import re
import tokenize
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal, get_args, get_origin
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from aurora_ops.core.errors import InputError, did_you_mean
from aurora_ops.core.times import BEFORE, BEFORE_FORMS, CLONE, HISTORY_DAYS, RESTORE_WORDS, to_datetime
from aurora_ops.runner import refusals


class ParameterError(InputError):
    """A parameter is unknown, or its annotation does not allow the value."""


@dataclass(frozen=True)
class Checked:
    """Metadata for `Annotated`: `check` returns the value to use, or raises ValueError with what is wrong.

    pydantic calls it by its protocol: a kernel that only names a type in its parameters cell does not load pydantic.
    """

    check: Callable[[Any], Any]
    expected: str

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(self.check, handler(source))


def _utc_time(text: str) -> str:
    try:
        moment = to_datetime(text)
    except ValueError as error:
        if str(error).startswith("Invalid isoformat"):
            raise ValueError from None  # what is expected says it
        raise
    return "" if moment is None else moment.isoformat().replace("+00:00", "Z")


def _restore_time(text: str) -> str:
    return text if text in (*RESTORE_WORDS, CLONE) or BEFORE.fullmatch(text) else _utc_time(text)


def _acu(value: float) -> float:
    if not 0 <= value <= 256 or value * 2 != int(value * 2):
        raise ValueError("Serverless v2 scales from 0 to 256 ACU in steps of 0.5")
    return value


def _idle_acu(value: float | str) -> float | str:
    if isinstance(value, str):
        return value
    if not 0 <= value <= 256:
        raise ValueError("an instance rests between 0 and 256 ACU")
    return value


def _not_negative(value: float) -> float:
    if value < 0:
        raise ValueError("it may not be negative")
    return value


def _duration(text: str) -> str:
    if not re.fullmatch(r"[1-9]\d*\s?(ms|s|min|h)", text):
        raise ValueError("write a number and ms, s, min or h")
    return text


def _folder(text: str) -> str:
    if not text:
        return text
    path = Path(text).expanduser().absolute()
    if not path.is_dir():
        raise ValueError(f"there is no folder {path}")
    return str(path)


def _file(text: str) -> str:
    if not text:
        return text
    path = Path(text).expanduser().absolute()
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    return str(path)


def _new_folder(text: str) -> str:
    if not text:
        return text
    path = Path(text).expanduser().absolute()
    if "://" in text:
        raise ValueError(
            "it is written on this machine only. Give a folder, and copy it from there, as with `aws s3 cp --recursive`"
        )
    there = next(one for one in (path, *path.parents) if one.exists())
    if not there.is_dir():
        raise ValueError(f"{there} is no folder")
    try:
        with TemporaryDirectory(dir=there):
            pass
    except OSError as error:
        raise ValueError(f"{there} cannot be written ({error.strerror})") from None
    return str(path)


def _source(text: str) -> str:
    """A path from where the person stands, as a whole one; behind `#` it may name a series. A name stays as it is."""
    if "://" in text:
        raise ValueError("only files of this machine are read. Copy it first, as with `aws s3 cp`, and give its path")
    path, mark, series = (text, "", "") if Path(text).expanduser().exists() else text.partition("#")
    if not (re.fullmatch(r"\.[A-Za-z]\w*", Path(path).suffix) or Path(path).name != path):
        return text
    whole = Path(path).expanduser().absolute()
    if whole.is_dir():
        raise ValueError(f"{whole} is a folder; give the path of a file in it")
    if not whole.exists():
        raise ValueError(f"there is no file {whole}")
    return f"{whole}{mark}{series}"


def _prices(text: str) -> str:
    """Where prices come from: one of two names, or a folder from where the person stands."""
    known = ["packaged", "live"]
    path = Path(text).expanduser()
    if text in known:
        return text
    if path.is_dir():
        return str(path.absolute())
    if path.exists():
        raise ValueError(f"{path.absolute()} is a file; give the folder it lies in")
    raise ValueError(
        f"there is no folder {path.absolute()}" if path.name != text else did_you_mean(text, known).rstrip(".")
    )


def _discount(text: str) -> str:
    for part in filter(None, map(str.strip, text.split(","))):
        if not re.fullmatch(r"[\w.]+\s*=\s*\d+(\.\d+)?\s*%?", part):
            raise ValueError(f"{part!r} is no item with a percent")
    return text


def _timezone(name: str) -> str:
    try:
        return name if not name else ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        near = get_close_matches(name, available_timezones(), n=1)
        raise ValueError("no time zone has this name" + (f". Did you mean {near[0]!r}?" if near else "")) from None


def _positive(value: float) -> float:
    if value <= 0:
        raise ValueError  # what is expected says it
    return value


def _day(text: str) -> str:
    try:
        return text and date.fromisoformat(text).isoformat()
    except ValueError:
        raise ValueError("there is no such day") from None


def _region(name: str) -> str:
    if not re.fullmatch(r"[a-z]{2,4}(-[a-z]+){1,3}-\d{1,2}", name):
        raise ValueError("a region has a name such as ap-northeast-1")
    return refusals.region(name)


def _days(value: int) -> int:
    low, high = HISTORY_DAYS
    if not low <= value <= high:
        raise ValueError(f"CloudWatch keeps {high} days, and less than {low} are no history to draw a month from")
    return value


# Named, because papermill reads no annotation with quotes in it.
Environment = Literal["dev", "stg", "prod"]
DestroyableEnvironment = Literal["dev", "stg"]
WayToEnd = Literal["terminate", "cancel"]
Prices = Annotated[str, Checked(_prices, '"packaged", "live", or a folder of price list files')]
Discount = Annotated[
    str, Checked(_discount, 'percents by item such as "acu_hour=12.5, backup_gb_month=20", or nothing')
]
UtcTime = Annotated[str, Checked(_utc_time, "a time with a zone such as 2025-12-12T03:00:00Z, or nothing")]
RestoreTime = Annotated[
    str,
    Checked(
        _restore_time,
        f"a time with a zone such as 2025-12-12T03:00:00Z, one of {', '.join(RESTORE_WORDS)}, {BEFORE_FORMS}, or nothing",
    ),
]
Acu = Annotated[float, Checked(_acu, "a capacity in ACU, in half steps")]
IdleAcu = Annotated[float | Literal[""], Checked(_idle_acu, "a capacity in ACU, or nothing")]
Usd = Annotated[float, Checked(_not_negative, "an amount in USD")]
# Relative to where the person stands: a kernel works in the folder of its notebook.
Folder = Annotated[str, Checked(_folder, "a folder, or nothing")]
File = Annotated[str, Checked(_file, "the path of a file, or nothing")]
Duration = Annotated[str, Checked(_duration, "a duration such as 500ms, 30s or 5min")]
Seconds = Annotated[int, Checked(_not_negative, "a whole number of seconds")]
Positive = Annotated[float, Checked(_positive, "a number over 0")]
Day = Annotated[str, Checked(_day, "a day such as 2026-11-23, or nothing")]
Timezone = Annotated[str, Checked(_timezone, 'a time zone such as "Asia/Tokyo" or "UTC", or nothing')]
Region = Annotated[str, Checked(_region, "the name of an AWS region")]
# Relative to where the person stands, as a folder is.
Source = Annotated[str, Checked(_source, "a name, or the path of a file")]
NewFolder = Annotated[str, Checked(_new_folder, "a folder, which is made where it is not there, or nothing")]
NotNegative = Annotated[float, Checked(_not_negative, "a number, 0 or more")]
Days = Annotated[int, Checked(_days, f"a whole number of days from {HISTORY_DAYS[0]} to {HISTORY_DAYS[1]}")]

# What an annotation in a parameters cell may name: those types, Python's own and typing's Literal and Annotated.
_NAMES = {t.__name__: t for t in (str, int, float, bool, list, dict)} | {
    "Environment": Environment, "DestroyableEnvironment": DestroyableEnvironment, "WayToEnd": WayToEnd, "Prices": Prices, "Discount": Discount, "UtcTime": UtcTime, "Acu": Acu, "IdleAcu": IdleAcu, "Usd": Usd, "Seconds": Seconds, "Days": Days,
    "Duration": Duration, "File": File, "Folder": Folder, "Positive": Positive, "Day": Day, "Timezone": Timezone, "Region": Region, "Source": Source,
    "NewFolder": NewFolder, "NotNegative": NotNegative, "RestoreTime": RestoreTime,
    "Literal": Literal, "Annotated": Annotated, "None": None,
}  # fmt: skip


_BY_RUNNER = "Use `aurora-ops run`, or papermill's -r NAME VALUE, which keeps the value as the text you typed."


@dataclass(frozen=True)
class Parameter:
    """One line of the cell. `annotation` is its text, `type` what it means."""

    name: str
    annotation: str
    type: Any = field(repr=False)
    default: Any
    help: str = ""

    @property
    def choices(self) -> tuple[str, ...]:
        """The values that can be listed, as text; empty for a type that has no list."""
        if get_origin(self.type) is Literal:
            return tuple(map(str, get_args(self.type)))
        return ("true", "false") if self.annotation == "bool" else ()

    @property
    def expected(self) -> str:
        """What a value has to be, in words."""
        if get_origin(self.type) is Literal:
            return "one of " + ", ".join(map(repr, get_args(self.type)))
        for check in get_args(self.type):
            if isinstance(check, Checked):
                return check.expected
        return {"str": "text", "int": "a whole number", "float": "a number", "bool": "true or false"}.get(
            self.annotation, self.annotation
        )

    def accept(self, value: Any) -> Any:
        """`value` as this parameter's type. Text is read, as a command line has nothing else; other values must have the type."""
        from pydantic import ConfigDict, TypeAdapter, ValidationError

        own_config = isinstance(self.type, type) or get_origin(self.type) is not None
        adapter = TypeAdapter(self.type, config=ConfigDict(allow_inf_nan=False) if own_config else None)
        try:
            if not isinstance(value, str):
                return adapter.validate_python(value, strict=True)
            if get_origin(self.type) in (list, dict, tuple) or self.type in (list, dict, tuple):
                return adapter.validate_json(value)
            return adapter.validate_strings(value)
        except ValidationError as error:
            raise ParameterError(
                f"{self.name}={value!r} cannot be used, so nothing was changed: expected {self.expected}.{self._hint(value, error)}"
            ) from None

    def _hint(self, value: Any, error: Any) -> str:
        """What `expected` does not say already: the nearest allowed value, or what a check of ours found."""
        if get_origin(self.type) is Literal:
            near = did_you_mean(str(value), list(map(str, get_args(self.type))))
            return f" {near}" if near.startswith("Did") else ""
        ours = str(error.errors()[0]["msg"])
        reason = ours.removeprefix("Value error, ")
        checked = any(isinstance(one, Checked) for one in get_args(self.type))
        end = "" if reason.endswith("?") else "."
        return f" {reason[:1].upper()}{reason[1:]}{end}" if reason and (reason != ours or not checked) else ""

    def accept_from_papermill(self, value: Any) -> Any:
        """The same for a value that papermill's own rules have read before, with how to keep them from bending it."""
        try:
            return self.accept(value)
        except ParameterError as error:
            if isinstance(value, str):
                raise
            reason = error
        try:
            self.accept(str(value))
        except ParameterError:
            raise reason from None  # the text would not do either
        raise ParameterError(f"{reason} {_BY_RUNNER}")


@dataclass(frozen=True)
class Parameters:
    """All parameters of a notebook, in the order of the cell."""

    notebook: str
    all: tuple[Parameter, ...]

    def __iter__(self) -> Any:
        return iter(self.all)

    def __contains__(self, name: str) -> bool:
        return any(name == p.name for p in self.all)

    def __getitem__(self, name: str) -> Parameter:
        for parameter in self.all:
            if name == parameter.name:
                return parameter
        raise ParameterError(
            f"{self.notebook} has no parameter {name!r}, so nothing was changed: "
            f"a misspelt name would run with the default. {did_you_mean(name, [p.name for p in self.all])}"
        )

    def defaults(self) -> dict[str, Any]:
        """Every parameter with its default."""
        return {p.name: p.default for p in self.all}


def _comments(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {t.start[0]: t.string.lstrip("# ").strip() for t in tokens if t.type == tokenize.COMMENT}


def _type_of(annotation: str) -> Any:
    try:
        return eval(annotation, {"__builtins__": {}}, _NAMES)  # noqa: S307 - only the names above resolve
    except Exception:
        raise ParameterError(
            f"the annotation {annotation!r} of a parameter cannot be understood. "
            f"It may use: {', '.join(sorted(_NAMES))}."
        ) from None


_ALLOWED = (
    "Only imports and `name: type = default  # help` stand there, the default written out as a plain value, "
    "or a parameter's type and value would be a guess."
)


def parse(source: str, notebook: str = "notebook") -> Parameters:
    """Read the source of a parameters cell.

    >>> parse("max_acu: float = 8.0  # new ceiling, ACU").all
    (Parameter(name='max_acu', annotation='float', default=8.0, help='new ceiling, ACU'),)
    """
    try:
        statements = ast.parse(source).body
    except SyntaxError as error:
        raise ParameterError(
            f"line {error.lineno} of the parameters cell of {notebook} is no Python ({error.msg}). {_ALLOWED}"
        ) from None
    comments, found = _comments(source), []
    for statement in statements:
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and statement.value is not None
        ):
            annotation = ast.unparse(statement.annotation)
            try:
                default = ast.literal_eval(statement.value)
            except ValueError:
                raise ParameterError(
                    f"line {statement.lineno} of the parameters cell of {notebook} gives {statement.target.id} the "
                    f"expression {ast.unparse(statement.value)}. {_ALLOWED}"
                ) from None
            name, comment = statement.target.id, comments.get(statement.end_lineno or 0, "")
            found.append(Parameter(name, annotation, _type_of(annotation), default, comment))
        elif not isinstance(statement, ast.Import | ast.ImportFrom):
            raise ParameterError(
                f"line {statement.lineno} of the parameters cell of {notebook} is {ast.unparse(statement)!r}. {_ALLOWED}"
            )
    return Parameters(notebook, tuple(found))


def tagged(notebook: Any, tag: str) -> list[Any]:
    """The code cells of a notebook that carry `tag`."""
    return [c for c in notebook["cells"] if c["cell_type"] == "code" and tag in c["metadata"].get("tags", [])]


def coerce(parameters: Parameters, given: Mapping[str, Any]) -> dict[str, Any]:
    """`given`, each value as the type of its parameter. Unknown names are refused.

    >>> coerce(parse('engine_version: str = "15.10"'), {"engine_version": "15.10"})
    {'engine_version': '15.10'}
    """
    return {name: parameters[name].accept(value) for name, value in given.items()}
