"""Which program runs: terraform, or tofu (OpenTofu) where that is not there, or the one that AURORA_OPS_TERRAFORM names."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

NAMED_BY = "AURORA_OPS_TERRAFORM"
MINIMUM = (1, 11)
HOW_TO_GET = (
    "Install Terraform (https://developer.hashicorp.com/terraform/install) or OpenTofu (https://opentofu.org/docs/intro/install), 1.11 or later, and put "
    f"it on PATH, or name it in {NAMED_BY}."
)
_VERSION = re.compile(r"^(Terraform|OpenTofu) v((\d+)\.(\d+)\S*)", re.MULTILINE)
_REGISTRIES = {"Terraform": "registry.terraform.io", "OpenTofu": "registry.opentofu.org"}


class Program(NamedTuple):
    """A program that says itself what it is. `version` is empty where it does not."""

    path: str
    name: str = ""
    version: str = ""
    numbers: tuple[int, int] = (0, 0)

    @property
    def is_new_enough(self) -> bool:
        """Whether it has write-only arguments."""
        return self.numbers >= MINIMUM

    @property
    def registry(self) -> str:
        """Where its providers come from."""
        return _REGISTRIES.get(self.name, _REGISTRIES["Terraform"])

    @property
    def shown(self) -> str:
        """Its version; with its name where that is not Terraform."""
        return self.version if self.name == "Terraform" else f"{self.name} {self.version}"


def chosen() -> Program | None:
    """The first that is new enough."""
    return next((one for one in _there() if one.is_new_enough), None)


def missing() -> str:
    """Why there is none, in a line, and what to do."""
    named = os.environ.get(NAMED_BY, "")
    found = list(_there())
    if not found:
        why = f"{NAMED_BY}={named!r} is no program" if named else "neither terraform nor tofu is on PATH"
    elif not found[0].version:
        why = f"{found[0].path} tells no version of Terraform or OpenTofu"
    else:
        old = found[0]
        why = (
            f"{old.name} {old.version} ({old.path}) is older than {MINIMUM[0]}.{MINIMUM[1]} and lacks write-only arguments, which keep the password out of "
            "the state"
        )
    return f"{why}. {HOW_TO_GET}"


def _there() -> Iterator[Program]:
    named = os.environ.get(NAMED_BY, "")
    for command in [named] if named else ["terraform", "tofu"]:
        if path := shutil.which(str(Path(command).expanduser())):
            yield _asked(path)


def _asked(path: str) -> Program:
    quiet = os.environ | {"CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": os.devnull}  # no question to the network
    try:
        answer = subprocess.run([path, "version"], capture_output=True, text=True, check=False, env=quiet)
    except OSError:  # of another processor, or no program inside
        return Program(path)
    told = _VERSION.search(answer.stdout)
    return Program(path, told[1], told[2], (int(told[3]), int(told[4]))) if told else Program(path)
