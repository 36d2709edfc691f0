"""The collection keeps its promises: every committed notebook is executed, small, canonical, free of logic and of secrets."""

import ast
import base64
import builtins
import json
import re
from itertools import pairwise

import nbformat
import pytest
from papermill.translators import PythonTranslator

from aurora_ops.core.environments import PROJECT_ROOT
from aurora_ops.runner import collection as notebooks
from aurora_ops.runner import parameter_types, parameters, stored
from aurora_ops.runner.common_parameters import COMMON, OF_CLUSTER, OF_PRICES, OF_READING

ENTRIES = notebooks.collection()
RUNBOOKS = [entry for entry in ENTRIES if entry.folder == "runbooks"]
RESPONSES = [entry for entry in ENTRIES if entry.folder == "runbooks/alarms"]
SPINE = ["parameters", "preflight", "plan", "apply", "verify"]
LAST = {"clean-up", "undo"}
PICTURED = {
    "cost-per-environment", "acu-range-what-if", "pricing-options", "acu-history", "database-load", "compare-database-load", "fleet", "deploy-environment",
    "destroy-environment", "load-schema", "run-workload", "fail-over", "set-acu-range", "restore-drill", "restore-to-point-in-time",
    "verify-restored-cluster", "record-baseline", "diagnose-connection-failure", "end-blocking-session",
}  # fmt: skip
LOGIC = (
    ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.For, ast.AsyncFor, ast.While, ast.If, ast.IfExp,
    ast.Try, ast.With, ast.AsyncWith, ast.Match, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp,
)  # fmt: skip
FORBIDDEN = {
    "an account id": re.compile(r"(?<![\d.\w-])\d{12}(?![\d.\w-])"),
    "an access key": re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b"),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY"),
    # Not one that is fetched at use, as the lines to connect with do.
    "a password": re.compile(
        r"(?i)(password|secret_string|passwd)['\"]?\s*[=:]\s*['\"]?(?!\$\(|process\.env\.)[^\s'\"<…*]{4,}"
    ),
    "an absolute path": re.compile(r"(?<![\w./:-])/(home|root|tmp|work|usr|var|Users|opt)/\S+"),
    "an address of this machine": re.compile(r"\b127\.\d+\.\d+\.\d+|\blocalhost:\d+"),
}


def parametrized(entries):
    return pytest.mark.parametrize("entry", entries, ids=lambda entry: entry.name)


def code_cells(entry):
    return [cell for cell in entry.read().cells if cell.cell_type == "code"]


def tags(cell):
    return cell.metadata.get("tags", [])


def output_text(cell):
    """All that a reader sees under a cell, but pictures."""
    parts = []
    for output in cell.outputs:
        parts += [output.get("text", ""), *output.get("traceback", [])]
        parts += [text for mime, text in output.get("data", {}).items() if mime.startswith("text/")]
    return "\n".join(parts)


@parametrized(ENTRIES)
def test_every_cell_was_executed_in_order(entry):
    """nbval passes a cell that was never run, so an unrun notebook proves nothing."""
    counts = [cell.execution_count for cell in code_cells(entry)]

    assert list(range(1, len(counts) + 1)) == counts


@parametrized(ENTRIES)
def test_cells_hold_no_logic(entry):
    """Design rule 1: a cell calls the package; what can branch, loop or fail is tested there."""
    found = [
        f"cell {cell.id}: {type(node).__name__}"
        for cell in code_cells(entry)
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, LOGIC)
    ]

    assert [] == found


@parametrized(ENTRIES)
def test_cells_are_short(entry):
    """One to five lines of code, except the parameters."""
    lines = {c.id: sum(map(bool, c.source.split("\n"))) for c in code_cells(entry) if "parameters" not in tags(c)}
    long = [name for name, count in lines.items() if count > 5]

    assert [] == long


@parametrized(ENTRIES)
def test_prose_comes_before_every_code_cell(entry):
    cells = entry.read().cells

    assert "markdown" == cells[0].cell_type
    assert cells[0].source.startswith("# ")
    assert [] == [b.id for a, b in pairwise(cells) if {a.cell_type, b.cell_type} == {"code"}]


@parametrized(ENTRIES)
def test_no_semicolon_hides_a_value(entry):
    """nbval shows it all the same and would fail."""
    assert [] == [cell.id for cell in code_cells(entry) if cell.source.rstrip().endswith(";")]


@parametrized(ENTRIES)
def test_no_cell_failed(entry):
    assert [] == [c.id for c in code_cells(entry) for output in c.outputs if output.output_type == "error"]


@parametrized(ENTRIES)
def test_the_purpose_is_one_sentence_under_the_title(entry):
    """`aurora-ops list` shows it."""
    assert 10 < len(entry.purpose) < 250, entry.purpose


@parametrized(ENTRIES)
def test_parameters_are_typed_and_explained(entry):
    """They are the notebook's command line; each is one annotated line with a comment."""
    assert 1 == len(parameter_types.tagged(entry.read(), "parameters"))
    assert [] == [p.name for p in parameters.read(entry.path) if not p.help]


@parametrized(ENTRIES)
def test_papermill_reads_every_parameter(entry):
    """It reads line by line, and takes a second `=` on one, in a comment too, for something that it cannot read."""
    (cell,) = parameter_types.tagged(entry.read(), "parameters")

    assert [p.name for p in parameters.read(entry.path)] == [p.name for p in PythonTranslator.inspect(cell)]


@parametrized(ENTRIES)
def test_common_parameters_are_the_same_on_every_page(entry):
    """Who knows how to name a cluster on one page knows it on all: same type, default, comment and order."""
    lines = parameter_types.tagged(entry.read(), "parameters")[0].source.splitlines()
    written = [line for line in lines if line.partition(":")[0] in COMMON]
    names = [line.partition(":")[0] for line in written]

    assert [COMMON[name].line(name) for name in COMMON if name in names] == written
    of_cluster, of_prices = ([name for name in names if name in table] for table in (OF_CLUSTER, OF_PRICES))
    assert of_cluster in ([], ["cluster"], list(OF_CLUSTER)), "a page that never logs in has only `cluster`"
    assert of_prices in ([], list(OF_PRICES)), "what is priced has a source and a discount"


@parametrized([entry for entry in ENTRIES if "depth" in parameters.read(entry.path)])
def test_what_reads_a_cluster_for_a_restore_is_held_back_by_the_same_parameters(entry):
    """Drill, baseline and verification: who knows one knows all."""
    lines = parameter_types.tagged(entry.read(), "parameters")[0].source.splitlines()

    assert [OF_READING[name].line(name) for name in OF_READING] == [
        line for line in lines if line.partition(":")[0] in OF_READING
    ]


@parametrized(ENTRIES)
def test_the_first_working_cell_verifies_the_parameters(entry):
    """Under plain papermill nothing else does: `-p engine_version 15.10` arrives as 15.1, a misspelt name as a warning."""
    first = next(cell for cell in code_cells(entry) if "parameters" not in tags(cell))

    assert "parameters.verify()" in first.source


@parametrized(ENTRIES)
def test_the_default_target_is_the_sandbox(entry):
    """A notebook opened and run without thinking changes nothing that matters."""
    declared = parameters.read(entry.path)

    assert "target" not in declared or "sandbox" == declared["target"].default


@parametrized(ENTRIES)
def test_defaults_fit_their_own_types(entry):
    declared = parameters.read(entry.path)

    assert declared.defaults() == parameter_types.coerce(declared, declared.defaults())


@parametrized(ENTRIES)
def test_the_notebook_ends_with_a_verdict(entry):
    """Without `evidence.conclude` the runner cannot tell a pass from a walk-through."""
    assert any("conclude(" in cell.source for cell in code_cells(entry))


@parametrized(RUNBOOKS)
def test_every_runbook_has_the_same_spine(entry):
    """What it changes, parameters, preflight, plan, apply, verify, clean up or undo: in this order, by cell id."""
    ids = [cell.id for cell in code_cells(entry)]
    last = [name for name in ids if name in LAST]

    assert [*SPINE, *last] == [name for name in ids if name in {*SPINE, *LAST}]
    assert last


@parametrized(RESPONSES)
def test_every_page_of_an_alarm_has_the_four_parts(entry):
    """Meaning, impact, diagnosis, mitigation, in this order; and the same cells, so that who knows one knows all."""
    headings = re.findall(r"^## (Meaning|Impact|Diagnosis|Mitigation)$", "\n".join(c.source for c in entry.read().cells), re.MULTILINE)  # fmt: skip
    cells = [re.sub(rf', page="{entry.name}"|"{entry.name}", ', "", cell.source) for cell in code_cells(entry)]
    general = next(one for one in RESPONSES if one.name == "respond-to-alarm")

    assert ["Meaning", "Impact", "Diagnosis", "Mitigation"] == headings
    assert [cell.source.replace('"respond-to-alarm", ', "") for cell in code_cells(general)] == cells


@parametrized(RUNBOOKS)
def test_a_clean_up_runs_whatever_happened_before(entry):
    """Tagged `always`, it runs after an error, a signal or the death of the kernel; so it needs nothing from other cells."""
    clean_ups = [cell for cell in code_cells(entry) if cell.id == "clean-up"]

    assert [] == [cell.id for cell in clean_ups if "always" not in tags(cell)]


@parametrized(ENTRIES)
def test_an_always_cell_depends_on_parameters_only(entry):
    """In a fresh kernel nothing else exists: every other name in it has to be imported in it."""
    known = {p.name for p in parameters.read(entry.path)} | set(dir(builtins)) | {"display"}
    for cell in code_cells(entry):
        if "always" in tags(cell):
            nodes = list(ast.walk(ast.parse(cell.source)))
            bound = {
                a.asname or a.name.partition(".")[0]
                for n in nodes
                if isinstance(n, ast.Import | ast.ImportFrom)
                for a in n.names
            }
            bound |= {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
            used = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
            assert set() == used - bound - known, cell.id


@parametrized(ENTRIES)
def test_budgets(entry):
    """At most 25 cells, 30 lines of stored text a cell, 30 KB a picture, 100 KB in all: a diff stays readable."""
    notebook = entry.read()
    pictures = [
        len(base64.b64decode(output.data["image/png"]))
        for cell in code_cells(entry)
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]
    texts = {
        cell.id: max(
            (
                len(t.splitlines())
                for o in cell.outputs
                for t in [o.get("text", ""), *o.get("data", {}).values()]
                if isinstance(t, str)
            ),
            default=0,
        )
        for cell in code_cells(entry)
    }

    assert len(notebook.cells) <= 25
    assert {} == {name: lines for name, lines in texts.items() if lines > 30}
    assert [] == [size for size in pictures if size > 30_000]
    assert entry.path.stat().st_size <= 100_000


@parametrized(ENTRIES)
def test_the_answer_stands_under_the_title(entry):
    """One cell is tagged with it, and what the title quotes is what that cell shows."""
    notebook = entry.read()
    said = stored.answer(notebook)

    assert 1 == len([cell for cell in code_cells(entry) if stored.ANSWER in tags(cell)])
    assert said
    assert not said.startswith("CHART")
    quoted = nbformat.from_dict({**notebook, "cells": [dict(one) for one in notebook.cells]})
    stored.quote_answer(quoted)
    assert quoted.cells[0].source == notebook.cells[0].source


@parametrized(ENTRIES)
def test_nothing_is_stored_empty_whose_content_is_the_point(entry):
    """What differs from run to run shows a recording, with its day."""
    empty = [cell.id for cell in code_cells(entry) if stored.IGNORED_OUTPUT in tags(cell) and not cell.outputs]

    assert [] == empty


@parametrized([entry for entry in ENTRIES if entry.name in PICTURED])
def test_pages_that_draw_are_stored_with_their_picture(entry):
    assert any("image/png" in output.get("data", {}) for cell in code_cells(entry) for output in cell.outputs)


@parametrized(ENTRIES)
def test_lines_of_code_fit_a_cell(entry):
    """JupyterLab shows 106 characters of a line in a window of 1280 pixels, its file browser open."""
    lines = [line for cell in code_cells(entry) for line in cell.source.splitlines()]

    assert [] == [line for line in lines if len(line) > 106]


def test_the_start_page_has_every_page():
    """`aurora-ops notebooks refresh` writes it."""
    assert notebooks.start_page() == (PROJECT_ROOT / "docs" / "start.md").read_text(encoding="utf-8")


@parametrized(ENTRIES)
def test_outputs_are_display_objects_of_the_package(entry):
    """A bare DataFrame stores HTML that follows the pandas version; SVG is compared byte by byte."""
    allowed = {"text/plain", "text/markdown", "image/png"}

    assert set() == {m for c in code_cells(entry) for o in c.outputs for m in o.get("data", {})} - allowed


@parametrized(ENTRIES)
def test_the_form_is_canonical(entry):
    """`make notebooks` writes it; then executing again is a diff of zero lines."""
    assert stored.is_canonical(entry.path)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ('{"password": "hunter22"}', True),
        ("PGPASSWORD=hunter22 psql", True),
        ("password: $hunter22", True),
        ("PGPASSWORD=$(secret) psql", False),
        ("password: process.env.DB_PASSWORD, ssl", False),
        ("password=…", False),
    ],
)
def test_a_password_is_told_from_where_to_fetch_it(text, is_one):
    assert is_one is bool(FORBIDDEN["a password"].search(text))


@parametrized(ENTRIES)
def test_nothing_private_is_stored(entry):
    """No secret, no account id, no path or address of the machine that made it."""
    text = "\n".join([json.dumps(entry.read().metadata), *map(output_text, code_cells(entry))])

    assert {} == {what: found.group() for what, pattern in FORBIDDEN.items() if (found := pattern.search(text))}


@pytest.mark.parametrize("readme", ["README.md", "README.ja.md"])
def test_the_catalogue_in_the_readme_equals_the_folders(readme):
    path = PROJECT_ROOT / readme
    if not path.exists():
        pytest.skip(f"{readme} is not written yet")
    linked = set(re.findall(r"\]\(((?:notebooks|runbooks)/[^)#]+\.ipynb)\)", path.read_text(encoding="utf-8")))

    assert {f"{entry.folder}/{entry.path.name}" for entry in ENTRIES} == linked


def test_names_are_unique():
    """`aurora-ops run NAME` knows no folders."""
    names = [entry.name for entry in ENTRIES]

    assert sorted(set(names)) == sorted(names)
