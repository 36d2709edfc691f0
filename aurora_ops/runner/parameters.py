"""The parameters of a notebook: a value that is given is the value that is used, or the run is refused.

papermill puts the given values into a cell of their own, behind the one that is tagged `parameters`. Where no cell has
that tag, or where a later cell sets a name again, the defaults win: a runbook that was given stg and a live profile
passes for dev in the sandbox. Three looks prevent that: at the notebook before a kernel starts (our runner and engine),
in the first working cell (`parameters.verify`), and before each later cell of a kernel that was given values. What a cell hides
from being read (`exec`, `globals()`, the body of a cell magic) is noticed by the next look only, the last of which is the verdict's.
"""

import ast
import inspect
import re
import symtable
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aurora_ops.runner.parameter_types import (
    Parameter,
    ParameterError,
    Parameters,
    parse,
    tagged,
)

TAG, INJECTED = "parameters", "injected-parameters"
_STAR = re.compile(r"^[^\S\n]*from\s+\S+\s+import\s+\*", re.MULTILINE)
_HEADING = "# Parameters\n"  # how papermill begins the cell that it injects
_OF_PAPERMILL = {"PAPERMILL_INPUT_PATH", "PAPERMILL_OUTPUT_PATH"}  # what its --inject-paths adds
_TAG_IT = f"Give exactly one cell, the one with the defaults, the tag {TAG!r}: papermill puts given values behind it."


def injected(source: str) -> dict[str, Any]:
    """The values in a cell that papermill has injected, by name; of other cells none.

    >>> injected("# Parameters\\nenvironment = 'stg'\\nvcpus = float('inf')\\n")
    {'environment': 'stg', 'vcpus': inf}
    """
    if not source.startswith(_HEADING):
        return {}
    found = {}
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.Assign) and isinstance(name := statement.targets[0], ast.Name):
            with suppress(ValueError):
                found[name.id] = _value(statement.value)
    return {name: value for name, value in found.items() if name not in _OF_PAPERMILL}


def _value(expression: ast.expr) -> Any:
    if (
        isinstance(expression, ast.Call) and ast.unparse(expression.func) == "float"
    ):  # float("inf"), as papermill writes it
        return float(ast.literal_eval(expression.args[0]))
    return ast.literal_eval(expression)


def names_set(source: str) -> set[str]:
    """Every name of the notebook that a cell binds, in whatever way: assignment, import, def, for, with, walrus, del.

    >>> sorted(names_set("import os as target; [y := x for x in range(3)]"))
    ['target', 'y']
    """
    try:
        table = symtable.symtable(source, "cell", "exec")
    except SyntaxError:  # magics
        from IPython.core.inputtransformer2 import TransformerManager

        try:
            table = symtable.symtable(TransformerManager().transform_cell(source), "cell", "exec")
        except SyntaxError:
            return set()  # the kernel will refuse it
    return set(_bound(table))


def _bound(table: symtable.SymbolTable) -> Iterator[str]:
    for symbol in table.get_symbols():
        is_the_notebooks = table.get_type() == "module" or symbol.is_declared_global()
        if is_the_notebooks and (symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()):
            yield symbol.get_name()
    for inner in table.get_children():
        yield from _bound(inner)


def read(notebook: Path | str | Mapping[str, Any]) -> Parameters:
    """The parameters of a notebook, by its path or as nbformat reads it, if it is sure that given values reach its cells.

    A notebook without a cell of parameters has none.

    Raises
    ------
    ParameterError
        No cell is tagged `parameters` though one looks like it, several are, a later cell sets a parameter again or imports
        names that cannot be known, or the file is the executed copy of an earlier run.
    """
    if isinstance(notebook, Path | str):
        import nbformat

        name, content = Path(notebook).stem, nbformat.read(str(notebook), as_version=4)
        if tagged(content, INJECTED):
            raise ParameterError(
                f"{name} is the copy that an earlier run has written: the values that were given to that run stand in it, and "
                "would count without being named. Nothing was started. Run the notebook that it was made from."
            )
        return _parameters(name, content)
    return _parameters("the notebook", notebook)


def _parameters(name: str, notebook: Mapping[str, Any]) -> Parameters:
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    cells = tagged(notebook, TAG)
    if len(cells) > 1:
        raise ParameterError(f"{name} has {len(cells)} cells tagged {TAG!r}, and the later sets back what is given to "
                             f"the first, so nothing was started. {_TAG_IT}")  # fmt: skip
    if not cells:
        for number, cell in enumerate(code, 1):
            if _looks_like_parameters(cell["source"]):
                raise ParameterError(
                    f"no cell of {name} is tagged {TAG!r}, so a given value would be overwritten by the default in "
                    f"code cell {number} ({_tags(cell)}), and the run would look at something else. Nothing was started. {_TAG_IT}"
                )
        return Parameters(name, ())
    found = parse(cells[0]["source"], name)
    _refuse_set_again(name, found, code[next(n for n, cell in enumerate(code) if cell is cells[0]) + 1 :])
    return found


def _refuse_set_again(name: str, found: Parameters, later: Sequence[Mapping[str, Any]]) -> None:
    for cell in later:
        if found.all and _STAR.search(cell["source"]):
            raise ParameterError(
                f"cell {cell.get('id', '')!r} of {name} imports every name of a module, and any of them could be a parameter's. "
                "Nothing was started. Import what the cell needs by its name."
            )
        again = names_set(cell["source"]) & {p.name for p in found}
        if again and INJECTED not in cell["metadata"].get("tags", []):
            raise ParameterError(
                f"cell {cell.get('id', '')!r} of {name} sets the parameter {min(again)!r} again, so a given value would not be "
                "the one that is used. Nothing was started. Give the variable in that cell another name."
            )


def _looks_like_parameters(source: str) -> bool:
    try:
        return bool(parse(source).all)
    except (ParameterError, SyntaxError):
        return False


def _tags(cell: Mapping[str, Any]) -> str:
    tags = cell["metadata"].get("tags", [])
    return f"its tags: {', '.join(map(repr, tags))}" if tags else "it has no tag"


def check_injected(notebook: Mapping[str, Any]) -> None:
    """Refuse what plain papermill has put into a notebook if its own rules bent a value or let an unknown name pass."""
    known = read(notebook)
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    behind = [n for n, cell in enumerate(code) if INJECTED in cell["metadata"].get("tags", [])]
    first = next((n for n, cell in enumerate(code) if TAG in cell["metadata"].get("tags", [])), -1)
    if behind and behind != [first + 1]:
        raise ParameterError(
            f"the notebook holds values of an earlier run in code cell {behind[-1] + 1}, and those would win over what is given. "
            "Nothing was started. Run the notebook that it was made from."
        )
    for cell in tagged(notebook, INJECTED):
        for name, value in injected(cell["source"]).items():
            known[name].accept_from_papermill(value)


def verify(namespace: dict[str, Any] | None = None) -> None:
    """In a notebook's first working cell: refuse values that plain papermill has bent, has lost, or has not known.

    Without an argument it looks at the kernel's own variables, and has each later cell looked at before it runs.
    papermill's `-p` cannot say a truth value, it gives the text "true"; where a parameter is a bool, that is put right.
    """
    live = vars(sys.modules["__main__"]) if namespace is None else namespace
    for parameter in _of_kernel(live):
        live[parameter.name] = parameter.accept_from_papermill(live[parameter.name])
    verify_unchanged(live)
    if namespace is None:
        _guard_later_cells(live)


def verify_unchanged(namespace: dict[str, Any] | None = None) -> None:
    """Refuse to go on if a value that papermill injected is no longer the one that the kernel works with."""
    live = vars(sys.modules["__main__"]) if namespace is None else namespace
    known = _of_kernel(live)
    for name, value in _given(live).items():
        wanted = known[name].accept_from_papermill(value)
        if wanted != live[name]:
            raise ParameterError(
                f"{name}={wanted!r} was given, but a cell has set it to {live[name]!r} since: the run would look at something "
                f"else than it says, so it ends here. {_TAG_IT}"
            )


def taken_by(function: Callable[..., Any], namespace: dict[str, Any] | None = None) -> dict[str, Any]:
    """The notebook's parameters that `function` takes by keyword, by the same names: for a page that has many of them.

    >>> def price(access, *, depth, seed=0): ...
    >>> taken_by(price, {"__annotations__": {"depth": str, "target": str}, "depth": "quick", "target": "sandbox"})
    {'depth': 'quick'}
    """
    live = vars(sys.modules["__main__"]) if namespace is None else namespace
    taken = {one.name for one in inspect.signature(function).parameters.values() if one.kind is one.KEYWORD_ONLY}
    return {parameter.name: live[parameter.name] for parameter in _of_kernel(live) if parameter.name in taken}


def _of_kernel(live: Mapping[str, Any]) -> Parameters:
    annotations = live.get("__annotations__") or (live["__annotate__"](1) if "__annotate__" in live else {})
    found = [Parameter(n, getattr(t, "__name__", str(t)), t, None) for n, t in annotations.items() if n in live]
    return Parameters("this notebook", tuple(found))


def _given(live: Mapping[str, Any]) -> dict[str, Any]:
    """What papermill gave to this kernel. Its cell may come again with the same values, as in "Run all"."""
    cells = [values for source in live.get("In", []) if (values := injected(source))]
    found, known = dict(cells[0]) if cells else {}, _of_kernel(live)
    for again in cells[1:]:
        if not all(name in known for name in again):
            continue  # a cell of the notebook's own under the same heading
        for name in again.keys() & found.keys():
            if again[name] != found[name]:
                raise ParameterError(
                    f"{name} was given twice, as {found[name]!r} and as {again[name]!r}: the notebook holds values of an earlier run, and "
                    "those would win. Nothing more was done. Run the notebook that it was made from, or restart the kernel."
                )
        found |= again
    return found


def _guard_later_cells(live: dict[str, Any]) -> None:
    if _given(live):
        transformers = live["get_ipython"]().ast_transformers
        transformers[:] = [t for t in transformers if not isinstance(t, _Guard)] + [_Guard(live)]


@dataclass
class _Guard:
    """What IPython shows each cell to before it runs. In one that only declares parameters the defaults may come back,
    and in papermill's own the given values, as in "Run all" on a notebook that was executed before.
    """

    live: dict[str, Any]

    def visit(self, cell: ast.Module) -> ast.Module:
        source = ast.unparse(cell)
        try:
            given = _given(self.live)
            if _looks_like_parameters(source) or injected(_HEADING + source) == given:
                return cell
            if _STAR.search(source):
                raise ParameterError(
                    f"this cell imports every name of a module, and one could be {', '.join(sorted(given))}, which the run was given, so "
                    "the cell was not run. Import what it needs by its name."
                )
            if again := sorted(names_set(source) & set(given)):
                raise ParameterError(
                    f"this cell sets {again[0]!r} again, and the run was given {again[0]}={given[again[0]]!r}, so the cell was "
                    "not run. Give the variable another name, or the run another value."
                )
            verify_unchanged(self.live)
        except ParameterError as error:
            raise _rejected(str(error)) from None
        return cell


def _rejected(text: str) -> Exception:
    from IPython.core.error import InputRejected  # any other exception would only switch the guard off

    refusal: type[Exception] = type("ParameterError", (ParameterError, InputRejected), {})
    return refusal(text)
