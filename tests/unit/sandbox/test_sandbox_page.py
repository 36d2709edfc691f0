"""docs/sandbox/ agrees with the code: its tables name every fault and every variable, its modules exist, and its links work."""

import inspect
import re

import pytest
from places import ROOT

from aurora_ops.sandbox.client.faults import Faults

FOLDER = ROOT / "docs" / "sandbox"
PAGE = FOLDER / "using.md"
PAGES = sorted([*FOLDER.glob("*.md"), *(ROOT / "docs" / "decisions").glob("*.md")])
LINK = re.compile(r"\]\(([^)#]*)(?:#([^)]+))?\)")


def rows(heading: str) -> str:
    """The first column of the tables of one section."""
    section = PAGE.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return "\n".join(line.split("|")[1] for line in section.splitlines() if line.startswith("| `"))


def anchor(heading: str) -> str:
    """A heading as GitHub links to it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def test_the_table_of_faults_has_every_public_method():
    methods = {name for name, _ in inspect.getmembers(Faults, inspect.isfunction) if not name.startswith("_")}

    assert methods == set(re.findall(r"`(\w+)\(", rows("Faults on purpose")))


def test_the_table_of_faults_names_parameters_that_exist():
    """A parameter of a method in the table is one of its signature, with the default that it has there."""
    wrong = []
    for name, arguments in re.findall(r"`(\w+)\(([^)]*)\)`", rows("Faults on purpose")):
        known = inspect.signature(getattr(Faults, name)).parameters
        for argument in filter(None, arguments.split(", ")):
            parameter, has_default, default = argument.partition("=")
            if parameter not in known or (has_default and known[parameter].default != eval(default)):  # noqa: S307
                wrong.append(f"{name}({argument})")

    assert [] == wrong


def test_the_table_of_settings_has_every_variable_that_the_code_names():
    files = [*(ROOT / "aurora_ops").rglob("*.py"), *(ROOT / "tests").rglob("*.py"), ROOT / "Makefile"]
    used = {name for file in files for name in re.findall(r"\bAURORA_OPS_[A-Z]+(?:_[A-Z]+)*\b", file.read_text())}

    assert used == set(re.findall(r"`(AURORA_OPS_\w+)`", rows("Settings")))


def test_the_pages_are_the_three():
    assert ["differences.md", "rules.md", "using.md"] == [path.name for path in sorted(FOLDER.glob("*.md"))]


def headings(page):
    return {anchor(one) for one in re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}/{page.name}")
def test_every_link_leads_to_a_file_or_a_heading(page):
    dead = []
    for path, heading in LINK.findall(page.read_text()):
        if "://" in path:
            continue
        target = page.parent / path if path else page
        if not target.exists() or (heading and heading not in headings(target)):
            dead.append(f"{path}#{heading}")

    assert [] == dead


@pytest.mark.parametrize("page", ["using.md", "differences.md"])
def test_every_module_that_a_page_names_exists(page):
    """By its file, with as much of its path as the page gives."""
    files = [str(path) for folder in ("aurora_ops", "tests") for path in (ROOT / folder).rglob("*.py")]
    named = set(re.findall(r"`([\w/]+\.py)`", (FOLDER / page).read_text()))

    assert [] == [name for name in sorted(named) if not any(file.endswith(f"/{name}") for file in files)]


def test_every_decision_has_a_row_in_the_index():
    folder = ROOT / "docs" / "decisions"
    linked = set(re.findall(r"\]\((\S+\.md)\)", (folder / "README.md").read_text()))

    assert {path.name for path in folder.glob("*.md")} - {"README.md"} == linked
