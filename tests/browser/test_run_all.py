"""The notebooks run by hand in a real JupyterLab in a real Chromium: Run All Cells by the menu, with no preparation.

Each meets an empty sandbox of its own, an empty HOME, and no outputs from an earlier execution. `make test-browser` runs three of
them, `make test-browser-all` every one. Screenshots stay in pytest's temporary folder.
"""

import re

import browsing
import pytest
from browsing import BARE, START_SECONDS

from aurora_ops.core.environments import PROJECT_ROOT
from aurora_ops.runner import collection as notebooks
from aurora_ops.runner import stored
from aurora_ops.terraform import program as terraform
from aurora_ops.terraform import which_program

browsing.needed()

RUN_ALL_SECONDS = 300  # deploying takes two minutes, most of it waits of Terraform's provider
TALL = 12_000  # so high that JupyterLab draws every cell
TERRAFORM = ("deploy-environment", "destroy-environment")
# A parameter that somebody changes, and what the answer says then.
EARLIER = PROJECT_ROOT / "aurora_ops" / "data" / "recordings" / "2026-11-26_before.json"
CHANGES = {
    "cost-per-environment": ("region", '"us-east-1"', "us-east-1"),
    "database-load": ("source", f'"{EARLIER}"', "0.65 active sessions"),
    "set-acu-range": ("max_acu", "8.0", "445 → 338"),
}
ENTRIES = notebooks.collection()

# What the page shows: the prompts of the code cells, whether the kernel rests, what stands on red (errors and stderr look alike),
# and what was typeset as a formula, which happens to amounts and SQL placeholders whose dollar signs are not well escaped.
STATE = """() => {
    const texts = selector => [...document.querySelectorAll('.jp-Notebook .jp-CodeCell ' + selector)].map(e => e.textContent.trim());
    return {
        prompts: texts('.jp-InputArea-prompt'),
        kernel: document.querySelector('.jp-Notebook-ExecutionIndicator')?.dataset.status,
        red: texts('[data-mime-type="application/vnd.jupyter.error"], [data-mime-type="application/vnd.jupyter.stderr"]'),
        formulas: texts('.jp-OutputArea-output :has(> mjx-container)'),
    };
}"""
# An error leaves the cells after it without a new number, so nothing may be waiting, and something must have run.
FINISHED = f"""before => {{
    const {{kernel, prompts}} = ({STATE})();
    return kernel === 'idle' && prompts.some(text => parseInt(text.slice(1)) > before) && !prompts.some(text => text.includes('*'));
}}"""


def opened(page, lab, entry):
    """The page without outputs, unfolded, its kernel at rest."""
    page.set_viewport_size({"width": 1280, "height": TALL})
    page.goto(lab.address(f"{BARE}/{entry.folder}/{entry.path.name}"))
    # The circle above the notebook looks idle before there is a kernel; the status bar tells the truth.
    ready = page.locator("#jp-main-statusbar").get_by_text(f"{notebooks.KERNELSPEC['display_name']} | Idle")
    ready.wait_for(timeout=START_SECONDS * 1000)
    for line in page.locator(".jp-Notebook .jp-InputPlaceholder").all():
        line.click()  # a folded cell shows no number


def run_all(page, picture, before=0):
    """What the page shows when the last cell has run; `before`: the number of cells that had run already."""
    page.locator(".lm-MenuBar-itemLabel").get_by_text("Run", exact=True).click()
    page.locator(".lm-Menu-itemLabel").get_by_text("Run All Cells", exact=True).click()
    try:
        page.wait_for_function(FINISHED, arg=before, timeout=RUN_ALL_SECONDS * 1000, polling=250)
    finally:
        page.wait_for_timeout(500)  # Markdown and pictures are drawn after the kernel has finished
        page.screenshot(path=picture)
    return page.evaluate(STATE)


def outputs(page, position):
    return page.locator(".jp-Notebook .jp-Cell").nth(position).locator(".jp-OutputArea-output").all_inner_texts()


def shown(page, position):
    return "\n".join(outputs(page, position))


def place(entry, tag):
    return next(at for at, cell in enumerate(entry.read().cells) if tag in cell.metadata.get("tags", []))


def verdict(entry):
    """The word and the page's name, as the stored page ends."""
    last = next(cell for cell in reversed(entry.read().cells) if cell.cell_type == "code")
    return " ".join(last.outputs[-1]["data"]["text/plain"].split(":")[0].split()[:2])


def assert_it_works(entry, page, picture):
    """Run all of the page that is open, for the first time."""
    cells = entry.read().cells
    code = sum(cell.cell_type == "code" for cell in cells)

    state = run_all(page, picture)

    assert [f"[{number}]:" for number in range(1, code + 1)] == state["prompts"], f"not every cell ran: {state['red']}"
    assert outputs(page, len(cells) - 1)[-1].strip().startswith(verdict(entry))
    assert [] == state["red"], "an error, or output to stderr, which looks like one"
    assert [] == state["formulas"], "dollar signs were taken for the marks of a formula"


@pytest.mark.parametrize("name", CHANGES)
def test_run_all_works_with_no_preparation_and_another_parameter_gives_another_answer(name, page, lab, tmp_path):
    """The parameter is changed by keyboard."""
    entry = notebooks.find(name)
    parameter, value, says = CHANGES[name]
    opened(page, lab, entry)
    assert_it_works(entry, page, tmp_path / f"{name}.png")
    answer = place(entry, stored.ANSWER)
    first = shown(page, answer)

    parameters = page.locator(".jp-Notebook .jp-Cell").nth(place(entry, "parameters"))
    line = parameters.locator(".cm-line").filter(has_text=re.compile(rf"^{parameter}: "))
    line.click()
    page.keyboard.press("Home")
    page.keyboard.press("Shift+End")
    page.keyboard.insert_text(f"{parameter} = {value}")
    state = run_all(page, tmp_path / f"{name}-changed.png", before=page.locator(".jp-Notebook .jp-CodeCell").count())

    assert [] == state["red"]
    assert says not in first
    assert says in shown(page, answer)


@pytest.mark.slow
@pytest.mark.parametrize("entry", [one for one in ENTRIES if one.name not in CHANGES], ids=lambda entry: entry.name)
def test_run_all_works_with_no_preparation(entry, page, lab, tmp_path):
    if entry.name in TERRAFORM and terraform.program() is None:
        pytest.skip(f"this notebook works with terraform, which is not installed. {which_program.HOW_TO_GET}")
    opened(page, lab, entry)

    assert_it_works(entry, page, tmp_path / f"{entry.name}.png")
