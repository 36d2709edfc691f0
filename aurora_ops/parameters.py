"""A notebook's parameters: typed by the annotations in its `parameters` cell, and strict.

papermill guesses a type from how a value looks: an engine version 15.10 becomes the number 15.1, an account id loses
its leading zero, and a misspelt name is a warning while the run goes on with the default. Here the annotation decides,
and what does not fit is refused before a kernel starts. The types below are for use in such a cell.
"""

import ast
import io
import os
import re
import sys
import tokenize
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from aurora_ops.errors import InputError, did_you_mean

# Stored outputs are made, and compared, as of one day. Who asks without a day gets today, so nobody else sets it.
AS_OF = "AURORA_OPS_AS_OF"


class ParameterError(InputError):
    """A parameter is unknown or its value does not fit its annotation."""


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


def to_datetime(text: str) -> datetime | None:
    """The moment that a `UtcTime` names, in UTC; None when it is empty.

    >>> to_datetime("2025-12-12T12:00:00+09:00")
    datetime.datetime(2025, 12, 12, 3, 0, tzinfo=datetime.timezone.utc)
    >>> to_datetime("2025-12-12T12:00:00")
    Traceback (most recent call last):
        ...
    ValueError: the time has no zone, so it names 24 different moments; add Z for UTC, or an offset such as +09:00
    """
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(
            "the time has no zone, so it names 24 different moments; add Z for UTC, or an offset such as +09:00"
        )
    return moment.astimezone(UTC)


def today() -> date:
    """The day, in UTC, on which the age of anything is judged where no day is named: the only place that decides it.

    The environment variable AURORA_OPS_AS_OF holds the clock still, for outputs that are to come out the same again.

    Raises
    ------
    ParameterError
        The variable holds no date.
    """
    fixed = os.environ.get(AS_OF, "")
    try:
        return date.fromisoformat(fixed) if fixed else datetime.now(UTC).date()
    except ValueError:
        raise ParameterError(
            f"the environment variable {AS_OF}={fixed!r} is no date, so the age of the prices cannot be told; "
            'unset it, or use a form such as "2026-11-23".'
        ) from None


def _utc_time(text: str) -> str:
    moment = to_datetime(text)
    return "" if moment is None else moment.isoformat().replace("+00:00", "Z")


def _acu(value: float) -> float:
    if not 0 <= value <= 256 or value * 2 != int(value * 2):
        raise ValueError("Serverless v2 scales from 0 to 256 ACU in steps of 0.5")
    return value


def _not_negative(value: float) -> float:
    if value < 0:
        raise ValueError("it may not be negative")
    return value


Environment = Literal["dev", "stg", "prod"]
Prices = Literal["packaged", "live"]
UtcTime = Annotated[str, Checked(_utc_time, "a time with a zone such as 2025-12-12T03:00:00Z, or nothing")]
Acu = Annotated[float, Checked(_acu, "a capacity in ACU, in half steps")]
Usd = Annotated[float, Checked(_not_negative, "an amount in USD")]
Seconds = Annotated[int, Checked(_not_negative, "a whole number of seconds")]

# What an annotation in a parameters cell may name: those types, Python's own and typing's Literal and Annotated.
_NAMES = {t.__name__: t for t in (str, int, float, bool, list, dict, tuple)} | {
    "Environment": Environment, "Prices": Prices, "UtcTime": UtcTime, "Acu": Acu, "Usd": Usd, "Seconds": Seconds,
    "Literal": Literal, "Annotated": Annotated, "None": None,
}  # fmt: skip


@dataclass(frozen=True)
class Parameter:
    """One line of the cell. `annotation` is its text, `type` what it means."""

    name: str
    annotation: str
    type: Any = field(repr=False)
    default: Any
    help: str = ""

    @property
    def expected(self) -> str:
        """What a value has to be, for a person."""
        if get_origin(self.type) is Literal:
            return "one of " + ", ".join(map(repr, get_args(self.type)))
        for check in get_args(self.type):
            if isinstance(check, Checked):
                return check.expected
        return {"str": "text", "int": "a whole number", "float": "a number", "bool": "true or false"}.get(
            self.annotation, self.annotation
        )

    def accept(self, value: Any) -> Any:
        """`value` as this parameter's type. Text is read, as a command line has nothing else; other values must fit."""
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
            reason = error.errors()[0]["msg"].removeprefix("Value error, ")
            options = list(get_args(self.type)) if get_origin(self.type) is Literal else []
            hint = did_you_mean(str(value), options) if options else f"{reason[:1].upper()}{reason[1:]}."
            raise ParameterError(
                f"{self.name}={value!r} cannot be used, so nothing was changed: expected {self.expected}. {hint}"
            ) from None


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


def parse(source: str, notebook: str = "notebook") -> Parameters:
    """Read the source of a parameters cell.

    >>> parse("max_acu: float = 8.0  # new ceiling, ACU").all
    (Parameter(name='max_acu', annotation='float', default=8.0, help='new ceiling, ACU'),)
    """
    comments, found = _comments(source), []
    for statement in ast.parse(source).body:
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and statement.value is not None
        ):
            annotation = ast.unparse(statement.annotation)
            default = ast.literal_eval(statement.value)
            name, comment = statement.target.id, comments.get(statement.end_lineno or 0, "")
            found.append(Parameter(name, annotation, _type_of(annotation), default, comment))
        elif not isinstance(statement, ast.Import | ast.ImportFrom):
            raise ParameterError(
                f"line {statement.lineno} of the parameters cell of {notebook} is {ast.unparse(statement)!r}. "
                "Only imports and `name: type = default  # help` stand there, or a parameter's type would be a guess."
            )
    return Parameters(notebook, tuple(found))


def tagged(notebook: Any, tag: str) -> list[Any]:
    """The code cells of a notebook that carry `tag`."""
    return [c for c in notebook["cells"] if c["cell_type"] == "code" and tag in c["metadata"].get("tags", [])]


def read(notebook: Path | str | Mapping[str, Any]) -> Parameters:
    """The parameters of a notebook, by its path or as nbformat reads it; without a parameters cell it has none."""
    name = "the notebook"
    if isinstance(notebook, Path | str):
        import nbformat

        name = Path(notebook).stem
        notebook = nbformat.read(str(notebook), as_version=4)
    cells = tagged(notebook, "parameters")
    return parse(cells[0]["source"], name) if cells else Parameters(name, ())


def coerce(parameters: Parameters, given: Mapping[str, Any]) -> dict[str, Any]:
    """`given`, each value as the type of its parameter. Unknown names are refused.

    >>> coerce(parse('engine_version: str = "15.10"'), {"engine_version": "15.10"})
    {'engine_version': '15.10'}
    """
    return {name: parameters[name].accept(value) for name, value in given.items()}


_BY_RUNNER = "Use `aurora-ops run`, or papermill's -r NAME VALUE, which keeps the value as the text you typed."


def check_injected(notebook: Mapping[str, Any]) -> None:
    """Refuse what plain papermill has put into a notebook if its own rules bent a value or let an unknown name pass."""
    parameters = read(notebook)
    for cell in tagged(notebook, "injected-parameters"):
        for statement in ast.parse(cell["source"]).body:
            if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
                try:
                    value = ast.literal_eval(statement.value)
                except ValueError:
                    continue  # float("nan") and the like: the notebook will refuse it
                _compare(parameters[statement.targets[0].id], value)


def _compare(parameter: Parameter, value: Any) -> Any:
    try:
        return parameter.accept(value)
    except ParameterError as error:
        raise ParameterError(f"{error} {_BY_RUNNER}") from None


def verify(namespace: dict[str, Any] | None = None) -> None:
    """In a notebook's first working cell: refuse values that plain papermill has bent, and names it has not known.

    Without an argument it looks at the kernel's own variables. papermill's `-p` cannot say a truth value, it gives the
    text "true"; where a parameter is a bool, that is put right.
    """
    live = vars(sys.modules["__main__"]) if namespace is None else namespace
    annotations = live.get("__annotations__") or (live["__annotate__"](1) if "__annotate__" in live else {})
    found = [Parameter(n, getattr(t, "__name__", str(t)), t, None) for n, t in annotations.items() if n in live]
    for parameter in found:
        live[parameter.name] = _compare(parameter, live[parameter.name])
    known = Parameters("this notebook", tuple(found))
    for source in live.get("In", []):
        if re.match(r"# Parameters\s", source):  # what papermill heads its injected cell with
            for name in re.findall(r"^(\w+) =", source, re.MULTILINE):
                _ = known[name]
