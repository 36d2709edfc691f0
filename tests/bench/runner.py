"""What a run costs over the plain script with the same cells, cold, as medians of five, interleaved within one run.

Ratios hold on a noisy machine, seconds do not. The plain script is the page's code cells in a file, its results rendered as a kernel would.
`runner.py rehearsal` compares `make rehearse` with the plain scripts of its pages, in a sandbox of their own: once, for it takes minutes.
"""

import ast
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import nbformat

from aurora_ops.rehearsal import rehearse
from aurora_ops.runner import collection, parameter_types, parameters
from aurora_ops.sandbox.client import lifecycle

ROOT = Path(__file__).parents[2]
PAGE, PAGES = "cost-per-environment", ("cost-per-environment", "acu-range-what-if", "pricing-options")
RUNS = 5
NO_GRAMMAR = str(ROOT / "tests" / "support" / "site")  # what the command line does without, and conftest.py
RENDERED = """
def _shown(value):
    for name in ("_repr_markdown_", "_repr_png_", "__repr__"):
        if (render := getattr(value, name, None)) is not None:
            render()

def display(*values):
    for value in values:
        _shown(value)
"""


def plain_script(page: str, **values: object) -> str:
    """The code cells, with these values behind the parameters' own; the value of each last line is rendered."""
    cells = [
        cell.source
        for cell in nbformat.read(collection.find(page).path, as_version=4).cells
        if cell.cell_type == "code"
    ]
    given = "\n".join(f"{name} = {value!r}" for name, value in values.items())
    return "\n".join([RENDERED, _rendered(cells[0]), given, *map(_rendered, cells[1:])])


def _rendered(cell: str) -> str:
    """Its statements, and the value of the last."""
    *before, last = ast.parse(cell).body
    shown = f"_shown({ast.unparse(last)})" if isinstance(last, ast.Expr) else ast.unparse(last)
    return "\n".join([*map(ast.unparse, before), shown])


def seconds(*command: str, cwd: Path, **more: str) -> float:
    """Of one process, which has to end well."""
    started = time.monotonic()
    done = subprocess.run(command, cwd=cwd, env=os.environ | more, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return time.monotonic() - started


def rehearsal() -> None:
    """The whole way with the runner, its evidence and its pages, beside the same cells without."""
    with tempfile.TemporaryDirectory(prefix="aurora-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        os.environ |= {"AURORA_OPS_HOME": name, "AURORA_OPS_AS_OF": "2026-11-23", "AURORA_OPS_SANDBOX": "plain"}
        plain = 0.0
        try:
            for page, own in rehearse.STEPS:
                declared = parameters.read(collection.find(page).path)
                given = {key: value for key, value in rehearse.COMMON.items() if key in declared} | dict(own)
                (folder / f"{page}.py").write_text(plain_script(page, **parameter_types.coerce(declared, given)))
                plain += seconds(sys.executable, str(folder / f"{page}.py"), cwd=collection.find(page).path.parent)
        finally:
            lifecycle.remove("plain")
        ours = seconds(sys.executable, "-m", "aurora_ops", "rehearse", "--output-dir", str(folder / "runs"), cwd=ROOT)
    print(f"{len(rehearse.STEPS)} pages as plain scripts {plain:.1f} s, rehearsed {ours:.1f} s: {ours / plain:.2f} x")  # noqa: T201


def main() -> None:
    """Print seconds and ratios."""
    with tempfile.TemporaryDirectory(prefix="aurora-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        os.environ |= {"AURORA_OPS_HOME": name, "AURORA_OPS_AS_OF": "2026-11-23"}
        for page in PAGES:
            (folder / f"{page}.py").write_text(plain_script(page))
        files = [str(path) for page in PAGES for path in (ROOT / "notebooks").glob(f"*_{page}.ipynb")]
        python, runs, tested = sys.executable, ("--output-dir", str(folder / "runs")), ("-q", "-p", "no:cacheprovider", "--nbval", "-n", "1", "--dist", "loadscope")  # fmt: skip

        def scripts() -> float:
            return sum(seconds(python, str(folder / f"{page}.py"), cwd=ROOT / "notebooks") for page in PAGES)

        ways: dict[str, Callable[[], float]] = {
            "plain script": lambda: seconds(python, str(folder / f"{PAGE}.py"), cwd=ROOT / "notebooks"),
            f"aurora-ops run {PAGE}": lambda: seconds(python, "-m", "aurora_ops", "run", PAGE, *runs, cwd=ROOT),
            f"{len(PAGES)} plain scripts": scripts,
            f"aurora-ops run, {len(PAGES)} pages": lambda: seconds(python, "-m", "aurora_ops", "run", *PAGES, *runs, cwd=ROOT),
            f"the same, --jobs {len(PAGES)}": lambda: seconds(python, "-m", "aurora_ops", "run", *PAGES, "--jobs", str(len(PAGES)), *runs, cwd=ROOT),
            "nbval on forked kernels, no page": lambda: seconds(python, "-m", "pytest", *tested, str(ROOT / "tests/unit/capacity/test_idle.py"), cwd=ROOT, PYTHONPATH=NO_GRAMMAR),
            f"nbval on forked kernels, {len(PAGES)} pages": lambda: seconds(python, "-m", "pytest", *tested, str(ROOT / "tests/unit/capacity/test_idle.py"), *files, cwd=ROOT, PYTHONPATH=NO_GRAMMAR),
        }  # fmt: skip
        took: dict[str, list[float]] = {way: [] for way in ways}
        for number in range(RUNS + 1):  # the first is not counted
            for way, measure in ways.items():
                one = measure()
                if number:
                    took[way].append(one)
        found = {way: statistics.median(times) for way, times in took.items()}
    one, all_ = found["plain script"], found[f"{len(PAGES)} plain scripts"]
    for way, median in found.items():
        print(f"{way:<42}{median:7.2f} s  {median / (all_ if str(len(PAGES)) in way else one):5.2f} x plain")  # noqa: T201
    nbval = found[f"nbval on forked kernels, {len(PAGES)} pages"] - found["nbval on forked kernels, no page"]
    print(f"{'nbval, what the pages add':<42}{nbval:7.2f} s  {nbval / all_:5.2f} x plain")  # noqa: T201


if __name__ == "__main__":
    rehearsal() if sys.argv[1:] == ["rehearsal"] else main()
