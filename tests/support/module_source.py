"""What the module's source says about itself: inputs and outputs, read from files that `terraform fmt` keeps in one layout."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from places import ROOT

TERRAFORM = ROOT / "terraform"
MODULE = TERRAFORM / "modules" / "aurora"
REQUIRED = object()
# What an edit of an input does to the running cluster and its instances, as each description ends.
EFFECTS = ("nothing", "in place", "restart", "replacement")


@dataclass(frozen=True)
class Input:
    """One variable. `default` is REQUIRED where there is none; `type` is on one line."""

    name: str
    type: str
    default: object
    description: str

    @property
    def effect(self) -> str | None:
        """What the description says that an edit does."""
        found = re.search(rf" Edit: ({'|'.join(EFFECTS)})\b", self.description)
        return found[1] if found else None


def inputs(path: Path = MODULE / "variables.tf") -> list[Input]:
    """The variables of a file: blocks at the margin, arguments two spaces in.

    >>> inputs()[7].name
    'master_password'
    """
    return [
        Input(
            name=name,
            type=re.search(r"^  type +=(.*(?:\{\n(?:    .*\n)+  \}\))?)$", body, re.M)[1].strip(),
            default=json.loads(default[1]) if (default := re.search(r"^  default +=(.*)$", body, re.M)) else REQUIRED,
            description=json.loads(re.search(r"^  description +=(.*)$", body, re.M)[1]),
        )
        for name, body in re.findall(r'^variable "(\w+)" \{\n(.*?)^\}', path.read_text(), re.M | re.S)
    ]


def outputs(path: Path = MODULE / "outputs.tf") -> dict[str, str]:
    """Name and description."""
    found = re.findall(r'^output "(\w+)" \{\n  description = (".*")\n', path.read_text(), re.M)
    return {name: json.loads(description) for name, description in found}
