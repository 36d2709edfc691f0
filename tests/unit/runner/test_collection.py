import os
import subprocess
import sys

import nbformat
import pytest

from aurora_ops.core.times import AS_OF
from aurora_ops.runner import collection as notebooks
from aurora_ops.runner.collection import canonical, first_sentence

OUTPUT = nbformat.v4.new_output


def notebook(*outputs, tags=(), **metadata):
    cell = nbformat.v4.new_code_cell("x\n", id="work", execution_count=3, outputs=list(outputs))
    cell.metadata = nbformat.from_dict(
        {"tags": list(tags), "execution": {"iopub.status.busy": "2025"}, "papermill": {}}
    )
    return nbformat.v4.new_notebook(
        cells=[cell], metadata={"language_info": {"name": "python", "version": "3.11.7"}, **metadata}
    )


def test_the_canonical_form_drops_all_that_differs_between_two_equal_executions():
    text = canonical(notebook(OUTPUT("stream", text="a\n"), OUTPUT("stream", text="b\n"), tags=["b", "a"]))

    cell = nbformat.reads(text, as_version=4).cells[0]
    assert ("work", 3, {"tags": ["a", "b"]}) == (cell.id, cell.execution_count, cell.metadata)
    assert ["a\nb\n"] == [output.text for output in cell.outputs]
    assert {"kernelspec"} == set(nbformat.reads(text, as_version=4).metadata)
    assert text.startswith('{\n "cells"')
    assert text.endswith("}\n")


def test_what_cannot_be_deterministic_is_not_stored():
    text = canonical(notebook(OUTPUT("stream", text="pid 17"), tags=[notebooks.IGNORED_OUTPUT]))

    assert [] == nbformat.reads(text, as_version=4).cells[0].outputs


def test_the_canonical_form_of_the_canonical_form_is_itself(tmp_path):
    path = tmp_path / "n.ipynb"
    path.write_text(canonical(notebook(OUTPUT("stream", text="a"))))

    assert notebooks.is_canonical(path)
    assert notebooks.write_canonical(path) is False


def test_a_file_in_another_form_is_rewritten_once(tmp_path):
    path = tmp_path / "n.ipynb"
    nbformat.write(notebook(), path)

    assert notebooks.write_canonical(path) is True
    assert notebooks.write_canonical(path) is False


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("\nDeploys it. Twice.\n", "Deploys it."),
        ("\nRestores to\na time.\n\nMore", "Restores to a time."),
        ("**Bottom line.** dev costs `44.10` USD a month. So", "dev costs 44.10 USD a month."),
        ("See [the guide](x.md)! Then", "See the guide!"),
        ("", ""),
    ],
)
def test_the_purpose_is_the_first_sentence_under_the_title(text, sentence):
    assert sentence == first_sentence(text)


def test_outputs_are_stored_as_of_one_day(tmp_path, monkeypatch):
    """A refreshed notebook is the same a year later, while its user, who names no day, gets the day on which it runs."""
    monkeypatch.delenv(AS_OF)
    path = tmp_path / "n.ipynb"
    cell = nbformat.v4.new_code_cell(
        "from aurora_ops.billing import price_book\nprice_book.day('').isoformat()", id="day"
    )
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": notebooks.KERNELSPEC}), path)
    notebooks.refresh(path)

    assert [repr(notebooks.STORED_AS_OF)] == [
        output.data["text/plain"] for output in nbformat.read(path, as_version=4).cells[0].outputs
    ]
    assert AS_OF not in os.environ


def test_a_command_reads_notebooks_without_the_grammar_that_their_schema_does_not_need():
    """It takes longer to build than all else that `aurora-ops list` does. Without PYTHONPATH: other processes of tests are spared it."""
    code = "import sys; from aurora_ops.__main__ import cli; cli(['list'], standalone_mode=False); sys.exit('lark' in sys.modules)"

    ended = subprocess.run([sys.executable, "-E", "-c", code], capture_output=True, text=True)

    assert (0, "") == (ended.returncode, ended.stderr)
    assert "deploy-environment " in ended.stdout
