"""What holds the house: who may import what, who may change AWS, who may start programs, who may ask where it runs.

The lists name today's exceptions, each with its reason. They may only shrink: a module that is not listed is refused, and so is
a line that is needed no more. Each check is also shown a small package that breaks it.
"""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "aurora_ops"
MOST_MODULES = 12

CROWDED: dict[str, str] = {}

STARTS_PROGRAMS = {
    "deploy/drift_dates.py": "git log: when the code that differs was committed",
    "commands/several.py": "this program itself, for pages that run at the same time",
    "fleet/task.py": "this program itself, for one cluster, so that it outlives its worker",
    "restore/evidence/signing.py": "the user's own program that signs",
    "runner/evidence.py": "git: which commit a run's evidence belongs to",
    "runner/kernels/forked.py": "the process that forks kernels",
    "sandbox/account/bootstrap.py": "the sandbox's server programs, before moto is imported",
    "sandbox/account/pickling.py": "the type only: a process is not stored with an account",
    "sandbox/client/lifecycle.py": "the sandbox's own process",
    "sandbox/client/processes.py": "ps, where there is no /proc",
    "sandbox/dataplane/programs.py": "PostgreSQL's programs",
    "sandbox/dataplane/server.py": "the PostgreSQL server",
    "schema/lint.py": "squawk",
    "terraform/program.py": "terraform, or tofu",
    "terraform/which_program.py": "terraform and tofu: which version each is",
}

ASKS_WHERE_IT_RUNS = {
    "aws/session.py": "it decides where calls go",
    "aws/build_environment.py": "builds in the sandbox only",
    "deploy/connection_lines.py": "shows how to trust the sandbox's certificate",
    "aws/insights.py": "says where load was measured and what is simulated",
    "cost/readers/price_api.py": "the sandbox offers the packaged prices, in the API's shape",
    "deploy/acu_range.py": "a plan is confirmed by itself",
    "deploy/acu_range_views.py": "says that the sandbox's capacity is simulated",
    "deploy/checks.py": "says SKIP, or how to repair it, where the sandbox differs",
    "deploy/deployment.py": "a plan is confirmed by itself, and its id is the same in each sandbox",
    "deploy/destruction.py": "a plan is confirmed by itself, and its id is the same in each sandbox",
    "deploy/drift.py": "says where the state lies",
    "deploy/drift_dates.py": "the sandbox keeps no CloudTrail",
    "deploy/terraform_run.py": "creates the sandbox's state bucket, and gives Terraform the sandbox's endpoints",
    "diagnose/alarms/alarm.py": "says that an alarm of AWS is asked for by a profile",
    "diagnose/alarms/ways.py": "a command for a live target names it, and confirms its plan",
    "diagnose/ending.py": "a plan is confirmed by itself",
    "diagnose/blocking.py": "a plan is confirmed by itself, and its id is the same in each sandbox",
    "failover/reader.py": "a plan is confirmed by itself",
    "failover/procedure.py": "a plan is confirmed by itself; the seconds say nothing of AWS",
    "rehearsal/staging.py": "trouble is staged in the sandbox only",
    "restore/point_in_time.py": "a plan is confirmed by itself",
    "restore/sweeper.py": "a plan is confirmed by itself",
    "schema/procedure.py": "a plan is confirmed by itself",
    "terraform/state.py": "the sandbox's bucket needs no variable",
    "upgrade/procedure.py": "a plan is confirmed by itself",
    "workload/procedure.py": "a plan is confirmed by itself; names of applications may be real ones elsewhere",
    "workload/safety.py": "refused on a live prod, and among real customers",
}


def modules(package: Path) -> Iterator[tuple[str, ast.Module]]:
    """Every module with its path inside the package."""
    for path in sorted(package.rglob("*.py")):
        yield path.relative_to(package).as_posix(), ast.parse(path.read_text())


def using(package: Path, attribute: str) -> set[str]:
    """The modules that name this attribute: call it, read it, hand it on, or look it up by its name."""
    return {
        path
        for path, tree in modules(package)
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and node.attr == attribute)
        or (isinstance(node, ast.Constant) and node.value == attribute)
    }


def importing(package: Path, library: str) -> set[str]:
    """The modules that import this library, at the top or inside a function."""
    return {
        path
        for path, tree in modules(package)
        for node in ast.walk(tree)
        if (isinstance(node, ast.Import) and any(one.name.split(".")[0] == library for one in node.names))
        or (isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").split(".")[0] == library)
    }


def changing_aws_outside(package: Path) -> set[str]:
    """Modules outside aws/ that ask for a session that may change something."""
    return {path for path in using(package, "to_writable") if not path.startswith("aws/")}


def without_docstring(package: Path) -> set[str]:
    """Modules that do not say what they are for."""
    return {path for path, tree in modules(package) if not ast.get_docstring(tree)}


def more_than_docstring(package: Path) -> set[str]:
    """`__init__` modules that hold anything beside their docstring: a name would then have two places."""
    return {path for path, tree in modules(package) if path.endswith("__init__.py") and (len(tree.body) > 1 or not ast.get_docstring(tree))}  # fmt: skip


def crowded(package: Path) -> set[str]:
    """Folders with more modules than one can hold in mind."""
    folders = {package, *(path.parent for path in package.rglob("*.py"))}
    return {
        folder.relative_to(package).as_posix()
        for folder in folders
        if sum(path.name != "__init__.py" for path in folder.glob("*.py")) > MOST_MODULES
    }


def functions(path: Path) -> set[str]:
    """The names of a module's functions and methods."""
    return {one.name for one in ast.walk(ast.parse(path.read_text())) if isinstance(one, ast.FunctionDef)}


def unknown_places(page: str) -> list[str]:
    """What a page names and is not there: a module by its path, or a function in a table's row beside its module."""
    where = [
        place
        for place in dict.fromkeys(re.findall(r"`((?:\w+/)+\w+\.(?:py|ipynb))`", page))
        if not any((root / place).exists() for root in (ROOT, PACKAGE, PACKAGE / "sandbox"))
    ]
    rows = re.findall(r"^\|[^|]*\| `(aurora_ops/[\w/]+\.py)` \|([^|]*)\|$", page, re.M)
    named = [(module, name) for module, names in rows for name in re.findall(r"`(\w+)`", names)]
    return where + [
        f"{module}: {name}" for module, name in named if module not in where and name not in functions(ROOT / module)
    ]


def checked_by_make(makefile: str) -> set[str]:
    """The programs of `make check`."""
    recipe = re.search(r"^check:.*\n((?:[\t#].*\n)*)", makefile, re.M)
    return set(re.findall(r"^\t@\$\(BIN\)/([\w-]+)", recipe[1] if recipe else "", re.M))


def checked_before_a_commit(hooks: str) -> set[str]:
    """The programs that pre-commit runs by itself."""
    found = (hook for repository in yaml.safe_load(hooks)["repos"] for hook in repository["hooks"])
    return {
        hook["entry"].split()[0].removeprefix(".venv/bin/") for hook in found if "manual" not in hook.get("stages", ())
    }


def broken_contracts(folder: Path) -> str:
    """What import-linter says of the package in `folder`, by the contracts of our pyproject.toml; "" where all are kept."""
    shutil.copy(ROOT / "pyproject.toml", folder / "contracts.toml")
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache", "--no-logo", "contracts.toml"]  # fmt: skip
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    return done.stdout + done.stderr if done.returncode else ""


@pytest.fixture
def planted(tmp_path) -> Callable[[str, str], Path]:
    """Writes one module into a small package, and gives the package."""

    def plant(path: str, text: str) -> Path:
        file = tmp_path / "package" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return tmp_path / "package"

    return plant


@pytest.fixture
def copied(tmp_path) -> Path:
    """The folder of a copy of the whole package, to break something in it."""
    shutil.copytree(PACKAGE, tmp_path / "aurora_ops", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_an_import_only_points_down(copied):
    """The contracts of pyproject.toml are kept."""
    assert "" == broken_contracts(copied)


@pytest.mark.parametrize(
    ("module", "line", "said"),
    [
        ("core/times.py", "from aurora_ops.aws import session", "aurora_ops.core is not allowed to import aurora_ops.aws"),
        ("restore/drill.py", "from aurora_ops.workload import content", "aurora_ops.restore is not allowed to import aurora_ops.workload"),
        ("billing/usage.py", "import boto3", "aurora_ops.billing is not allowed to import boto3"),
        ("aws/metrics.py", "import moto", "aurora_ops.aws is not allowed to import moto"),
        ("cost/plan.py", "import distributed", "aurora_ops.cost is not allowed to import distributed"),
    ],
    ids=["up", "between strangers", "AWS in the domain", "moto outside the sandbox", "Dask outside the fleet"],
)  # fmt: skip
def test_an_import_up_or_sideways_is_found(copied, module, line, said):
    """One such line in one module, and the contract names it."""
    path = copied / "aurora_ops" / module
    path.write_text(f"{path.read_text()}\n{line}\n")
    assert said in " ".join(broken_contracts(copied).split())


def test_only_aws_asks_for_a_session_that_may_change_something():
    """Whoever reads the folder aws/ has read every change that this package makes by an API."""
    assert set() == changing_aws_outside(PACKAGE)


@pytest.mark.parametrize("line", ["session.to_writable().client('rds')", "ask = session.to_writable", "getattr(session, 'to_writable')()"])  # fmt: skip
def test_a_change_elsewhere_is_found(planted, line):
    """A call, the method handed on, and the method by its name."""
    planted("aws/changes.py", "session.to_writable()")
    assert {"restore/drill.py"} == changing_aws_outside(planted("restore/drill.py", line))


def test_only_the_listed_modules_start_programs():
    """Neither more than are listed nor fewer."""
    assert set(STARTS_PROGRAMS) == importing(PACKAGE, "subprocess")


@pytest.mark.parametrize("line", ["import subprocess", "def run():\n    from subprocess import Popen", "import os, subprocess as programs"])  # fmt: skip
def test_a_module_that_starts_programs_is_found(planted, line):
    """At the top, inside a function, and under another name."""
    planted("calm.py", "import subprocesses\nfrom . import subprocess")
    assert {"cost/plan.py"} == importing(planted("cost/plan.py", line), "subprocess")


def test_only_the_listed_modules_ask_where_they_run():
    """Each is a place where a rehearsal differs from a run: neither more than are listed nor fewer."""
    assert set(ASKS_WHERE_IT_RUNS) == using(PACKAGE, "is_sandbox")


def test_a_module_that_asks_where_it_runs_is_found(planted):
    """And one that has a function of a similar name is not."""
    planted("lifecycle.py", "def _is_sandbox(): ...\n_is_sandbox()")
    assert {"cost/plan.py"} == using(planted("cost/plan.py", "x = 1 if session.is_sandbox else 2"), "is_sandbox")


def test_no_folder_is_crowded():
    """At most twelve modules beside `__init__`, but for those listed."""
    assert set(CROWDED) == crowded(PACKAGE)


def test_a_crowded_folder_is_found(planted):
    """Thirteen modules are too many, twelve and the package's own `__init__` are not."""
    for number in range(13):
        planted(f"cost/m{number}.py", "")
        planted("aws/__init__.py" if number == 12 else f"aws/m{number}.py", "")
    assert {"cost"} == crowded(planted("__init__.py", ""))


def test_an_init_holds_a_docstring_and_nothing_else():
    """A thing has one name: that of the module in which it stands."""
    assert set() == more_than_docstring(PACKAGE)


@pytest.mark.parametrize(
    "text", ['"""Costs."""\nfrom aurora_ops.cost.plan import plan', '"""Costs."""\n__all__ = []', ""]
)
def test_an_init_that_holds_more_is_found(planted, text):
    """A re-export, a list of names, and one that does not even say what the folder is."""
    planted("aws/__init__.py", '"""AWS."""')
    assert {"cost/__init__.py"} == more_than_docstring(planted("cost/__init__.py", text))


def test_every_module_says_what_it_is_for():
    """In a docstring of its own."""
    assert set() == without_docstring(PACKAGE)


def test_a_module_that_says_nothing_is_found(planted):
    """A comment is no docstring."""
    planted("aws/changes.py", '"""Changes."""')
    assert {"cost/plan.py"} == without_docstring(planted("cost/plan.py", "# Costs.\nimport json"))


@pytest.mark.parametrize(
    "page", sorted(ROOT.glob("docs/**/*.md")) + sorted(ROOT.glob("*.md")), ids=lambda path: path.name
)
def test_a_page_names_modules_and_functions_that_are_there(page):
    """By its path from the project or from aurora_ops."""
    assert [] == unknown_places(page.read_text())


def test_a_page_that_names_what_is_gone_is_found():
    """A module that moved, and a function that has another name; a file of one word may be anywhere."""
    page = "`env.py` `core/plan.py` `core/plans.py`\n| a plan | `aurora_ops/core/plan.py` | `id`, `sign` |\n"
    assert ["core/plans.py", "aurora_ops/core/plan.py: sign"] == unknown_places(page)


def test_a_commit_is_checked_by_the_tools_of_make_check():
    """No more and no fewer, and out of the same .venv; pre-commit itself is only asked whether its configuration is valid."""
    by_make = checked_by_make((ROOT / "Makefile").read_text())
    assert {"ruff", "lint-imports", "codespell"} <= by_make
    assert by_make - {"pre-commit"} == checked_before_a_commit((ROOT / ".pre-commit-config.yaml").read_text())


def test_a_tool_that_is_commented_out_or_runs_by_hand_does_not_count():
    """The two readers, shown a line of each kind."""
    assert {"ruff"} == checked_by_make(
        "check: x  ## y\n\t@$(BIN)/ruff check\n#\t@$(BIN)/mypy\n\ntest: check\n\t@$(BIN)/pytest\n"
    )
    hooks = "repos:\n- hooks:\n  - {entry: .venv/bin/ruff check}\n  - {entry: .venv/bin/mypy, stages: [manual]}\n"
    assert {"ruff"} == checked_before_a_commit(hooks)
