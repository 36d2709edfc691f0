"""The committed form of a notebook: the same twice, with recordings where nothing can be the same twice, and its answer under its title."""

import os

import nbformat

from aurora_ops.core.times import AS_OF
from aurora_ops.runner import collection, stored
from aurora_ops.runner.stored import canonical

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
    text = canonical(notebook(OUTPUT("stream", text="pid 17"), tags=[stored.IGNORED_OUTPUT]))

    assert [] == nbformat.reads(text, as_version=4).cells[0].outputs


def test_the_canonical_form_of_the_canonical_form_is_itself(tmp_path):
    path = tmp_path / "n.ipynb"
    path.write_text(canonical(notebook(OUTPUT("stream", text="a"))))

    assert stored.is_canonical(path)
    assert stored.write_canonical(path) is False


def test_a_file_in_another_form_is_rewritten_once(tmp_path):
    path = tmp_path / "n.ipynb"
    nbformat.write(notebook(), path)

    assert stored.write_canonical(path) is True
    assert stored.write_canonical(path) is False


def test_outputs_are_stored_as_of_one_day(tmp_path, monkeypatch):
    """A refreshed notebook is the same a year later, while its user, who names no day, gets the day on which it runs."""
    monkeypatch.delenv(AS_OF)
    path = tmp_path / "n.ipynb"
    cell = nbformat.v4.new_code_cell(
        "from aurora_ops.billing import price_book\nprice_book.day('').isoformat()", id="day"
    )
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": collection.KERNELSPEC}), path)
    stored.refresh(path)

    assert [repr(stored.STORED_AS_OF)] == [
        output.data["text/plain"] for output in nbformat.read(path, as_version=4).cells[0].outputs
    ]
    assert AS_OF not in os.environ


def written(path, *cells):
    new = nbformat.v4.new_notebook(metadata={"kernelspec": collection.KERNELSPEC})
    new.cells = [nbformat.v4.new_markdown_cell("# Orders\n\nCounts orders.\n\nMore of it.", id="title"), *cells]
    nbformat.write(new, path)
    return path


def cell(source, name, *tags):
    return nbformat.v4.new_code_cell(source, id=name, metadata={"tags": list(tags)})


def test_what_differs_from_run_to_run_is_stored_as_a_recording_that_stays(tmp_path):
    """With its day; a second refresh keeps it, `record` renews it."""
    timed = "import time\ntime.monotonic_ns()"
    path = written(tmp_path / "n.ipynb", cell(timed, "timed", stored.IGNORED_OUTPUT))

    def shown():
        return [next(iter(one.data.values())) for one in nbformat.read(path, as_version=4).cells[1].outputs]

    assert stored.refresh(path) is True
    first = shown()
    assert first[0].startswith("*Recorded in the sandbox on 20")
    assert stored.refresh(path) is False
    assert first == shown()
    assert stored.refresh(path, record=True) is True
    assert first[1] != shown()[1]
    assert stored.is_canonical(path)


def test_a_recording_of_another_kind_than_what_is_shown_now_is_renewed():
    """A column more, or a chart where a table was: what is stored would no longer be what a run shows."""
    kinds = ["|a|b|\n|---|---|\n|1|2|", "|a|b|\n|---|---|\n|3|4|", "|a|c|\n|---|---|\n|1|2|"]
    one, same, other = ([OUTPUT("display_data", {"text/markdown": text})] for text in kinds)

    assert stored._kinds(one) == stored._kinds(same)
    assert stored._kinds(one) != stored._kinds(other)


def test_a_quiet_moment_does_not_take_the_place_of_a_recording_that_shows_more():
    """Whether a young sandbox was sampled yet is chance: a picture, or a table, stays when a refresh sees only a sentence; not the reverse."""
    picture, rows = {"image/png": "AA=="}, {"text/markdown": "**two**\n\n|a|\n|---|\n|1|"}
    label = OUTPUT("display_data", {"text/markdown": f"{stored._RECORDED}2026-11-01.*"})

    def after(kept, seen):
        whole = cell("x", "x", stored.IGNORED_OUTPUT)
        executed = nbformat.v4.new_notebook(cells=[cell("x", "x", stored.IGNORED_OUTPUT)])
        whole.outputs, executed.cells[0].outputs = [label, OUTPUT("display_data", kept)], [OUTPUT("display_data", seen)]
        stored._keep_recordings(executed, {"x": whole})
        return dict(executed.cells[0].outputs[1].data)

    quiet = {"text/markdown": "**nothing was sampled**"}

    for shown in (picture, rows):
        assert shown == after(shown, quiet)
        assert shown == after(quiet, shown)


def test_the_title_quotes_what_the_page_answered(tmp_path):
    """After its purpose; quoted once, however often it is refreshed, and no longer than two sentences."""
    said = "print('working')\nfrom aurora_ops.core.display import Line\nLine('4 orders, 3 USD. Two are late. One is new. ')"
    path = written(tmp_path / "n.ipynb", cell(said, "bottom-line", stored.ANSWER))
    stored.refresh(path)
    title = nbformat.read(path, as_version=4).cells[0].source

    assert [
        "# Orders", "Counts orders.", "> ### 4 orders, 3 USD. Two are late.\n>\n> So it was in the stored run; yours follows below.", "More of it.",
    ] == title.split("\n\n")  # fmt: skip
    assert stored.refresh(path) is False
    assert "# Orders\n\nCounts orders.\n\nMore of it." == stored.without_answer(title)


def test_parameters_are_folded_where_the_front_end_can():
    text = canonical(notebook(tags=["parameters"]))

    assert {"source_hidden": True} == nbformat.reads(text, as_version=4).cells[0].metadata["jupyter"]


def test_a_recording_holds_no_folder_of_the_machine_that_made_it():
    """Nor loses the name of a log group, which looks like one."""
    said = OUTPUT("display_data", {"text/plain": "of /var/tmp/fresh-1/work/a.gz and /aws/rds/cluster/dev/postgresql"})

    assert "of …/a.gz and /aws/rds/cluster/dev/postgresql" == stored._without_paths(said).data["text/plain"]
