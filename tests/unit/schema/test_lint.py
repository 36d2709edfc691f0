"""Schema files read by squawk: ours are clean but for exceptions with a reason, and what is not clean is named by file, line and rule."""

import doctest
import sys

import pytest
from click.testing import CliRunner

from aurora_ops.__main__ import cli
from aurora_ops.schema import catalog, files
from aurora_ops.schema.catalog import SCHEMA
from aurora_ops.schema.files import SchemaFilesError
from aurora_ops.schema.lint import LintConfigError, LinterMissingError, excluded_rules, lint


@pytest.fixture
def folder(tmp_path):
    def write(*texts, config=""):
        for number, text in enumerate(texts, 1):
            (tmp_path / f"{number:03}_file.sql").write_text(text, encoding="utf-8")
        if config:
            (tmp_path / ".squawk.toml").write_text(config, encoding="utf-8")
        return tmp_path

    return write


@pytest.mark.parametrize("module", [catalog, files], ids=lambda module: module.__name__)
def test_the_examples_in_docstrings_hold(module):
    assert 0 == doctest.testmod(module).failed


def test_our_own_files_are_clean_but_for_exceptions_with_a_reason():
    """Each exception is needed: without it there is a finding of that rule."""
    report, exceptions = lint(SCHEMA), excluded_rules(SCHEMA)

    assert {"PASS"} == {check.verdict for check in report.checks}
    assert all(exceptions.values())


@pytest.mark.parametrize("rule", excluded_rules(SCHEMA))
def test_an_exception_that_is_not_needed_is_found(folder, rule):
    text = (SCHEMA / "001_application.sql").read_text(encoding="utf-8")
    others = ", ".join(f'\n"{one}" # as ours' for one in excluded_rules(SCHEMA) if one != rule)

    assert (
        rule
        in lint(folder(text, config=f"excluded_rules = [{others}\n]".replace(" # as ours,", ", # as ours")))
        .checks[0]
        .detail
    )


def test_a_finding_has_its_file_line_rule_and_advice(folder):
    """Read as it is run: an index in a transaction locks the table; one in a file of its own, CONCURRENTLY, does not."""
    report = lint(
        folder(
            'CREATE TABLE "売上 %s" (t bigint);',
            '-- why\nCREATE INDEX by_t ON "売上 %s" (t);',
            '-- no-transaction\nCREATE INDEX CONCURRENTLY IF NOT EXISTS by_t2 ON "売上 %s" (t);',
        )
    )

    assert ["PASS", "FAIL", "PASS"] == [check.verdict for check in report.checks]
    assert report.checks[1].detail.startswith("line 2 require-concurrent-index-creation: ")
    assert "Use `concurrently`" in report.checks[1].detail


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ('excluded_rules = [\n"ban-drop-table",\n]', "excludes ban-drop-table without a reason"),
        ("excluded_rules = [", "is no TOML"),
    ],
)
def test_an_exception_without_a_reason_is_refused(folder, config, said):
    with pytest.raises(LintConfigError, match=said):
        lint(folder("SELECT 1;", config=config))


def test_a_folder_that_cannot_be_loaded_is_not_linted(folder):
    with pytest.raises(SchemaFilesError, match="line 1 is COMMIT"):
        lint(folder("COMMIT;"))


def test_without_squawk_it_is_said_how_to_install_it(folder, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(LinterMissingError, match="python -m pip install squawk-cli"):
        lint(folder("SELECT 1;"))


def test_the_command_ends_by_its_finding(folder):
    """0 without one, 1 with one, 2 for a folder that cannot be read."""
    sound = CliRunner().invoke(cli, ["schema", "lint"])
    found = CliRunner().invoke(cli, ["schema", "lint", str(folder("DROP TABLE sales;"))])
    refused = CliRunner().invoke(cli, ["schema", "lint", str(folder("COMMIT;"))])

    assert (0, True) == (sound.exit_code, sound.output.startswith("PASS 001_application.sql"))
    assert (1, True) == (found.exit_code, found.output.startswith("FAIL 001_file.sql: line 1 ban-drop-table"))
    assert 2 == refused.exit_code
