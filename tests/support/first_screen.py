"""The first screen of the READMEs: the commands that it shows, and the form of what they print."""

import re

from aurora_ops.core.environments import PROJECT_ROOT
from aurora_ops.rehearsal import rehearse

SANDBOX = (
    r"sandbox rehearsal: running at http://127\.0\.0\.1:\d+ \(pid \d+\), PostgreSQL \d+\.\d+; capacity is simulated"
)
STEP = r"PASS    {name}: \d+ of \d+ checks(, \d+ skipped)?(; .+)? \(\d+ s\)"
REPORT = r"report: runs/\d{8}T\d{6}Z_rehearsal/index\.html"


def shown(readme: str) -> list[str]:
    """The lines that it shows under `make rehearse`."""
    text = (PROJECT_ROOT / readme).read_text(encoding="utf-8")
    return text[text.index("$ make rehearse") :].split("```")[0].splitlines()[1:]


def other_than_printed(lines: list[str]) -> list[str]:
    """Lines that a rehearsal that passed would not print, or not there."""
    steps = [STEP.format(name=name) for name, _ in rehearse.STEPS]
    forms = [SANDBOX, *steps, f"REHEARSAL {len(steps)} passed", REPORT]
    other = [line for form, line in zip(forms, lines, strict=False) if not re.fullmatch(form, line)]
    return other + lines[len(forms) :] + [f"missing: {form}" for form in forms[len(lines) :]]
