"""Running the terraform program: in a copy of its root, with its state in S3, and with exactly one interrupt.

A run gets a process session of its own, so a Ctrl-C or a dying kernel does not reach it unasked: it is interrupted once and
then given the time to write its state and release its lock. A second interrupt would make it give up both (facts notebooks 3c).
"""

import filecmp
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from aurora_ops.core.environments import PROJECT_ROOT
from aurora_ops.core.errors import AuroraOpsError
from aurora_ops.terraform import which_program

_PROVIDER = "hashicorp/aws"
_INTERRUPTED = (
    " was told once, finished what it had begun, wrote its state and ended. Run again: it goes on from what is there."
)
_PLAN_SECONDS = 24 * 3600  # a plan that was not applied within a day is deleted
# What in an operator's shell would lead to another state, change a command or its output: a run is what its parameters say.
_STEERING = ("TF_WORKSPACE", "TF_CLI_ARGS", "TF_VAR_", "TF_LOG", "TF_REATTACH_PROVIDERS")


class TerraformError(AuroraOpsError):
    """terraform ended with an error; its own words follow."""


class TerraformMissingError(TerraformError):
    """There is no terraform program, or it is too old for write-only arguments."""


def program() -> str | None:
    """Path of the program that runs, terraform or OpenTofu's tofu; None where none is new enough."""
    found = which_program.chosen()
    return found.path if found else None


def mirror(registry: str) -> Path | None:
    """A filesystem mirror that holds the AWS provider of that registry, one or two folders below the root; None on most machines.

    Without one the registry serves the provider, and nothing is configured.
    """
    for pattern in ("*", "*/*"):
        for folder in sorted(Path("/").glob(f"{pattern}/{registry}")):
            if (folder / _PROVIDER).is_dir():
                return folder.parent
    return None


def cli_config(folder: Path, registry: str) -> dict[str, str]:
    """Variables that make the program use a mirror where the machine has one and nothing else is configured."""
    configured = os.environ.get("TF_CLI_CONFIG_FILE")
    if (configured and Path(configured).exists()) or (found := mirror(registry)) is None:
        # A variable that names no file is only noise: terraform warns and goes on.
        return {} if configured is None or Path(configured).exists() else {"TF_CLI_CONFIG_FILE": os.devnull}
    path = folder / "mirror.tfrc"
    path.write_text(
        f'provider_installation {{\n  filesystem_mirror {{ path = "{found}" }}\n'
        f'  direct {{ exclude = ["{registry}/{_PROVIDER}"] }}\n}}\n'
    )  # fmt: skip
    return {"TF_CLI_CONFIG_FILE": str(path)}


@dataclass(frozen=True)
class Root:
    """One Terraform root (`environments/dev`, `prerequisites`) in a copy of the tree under `home`."""

    terraform: str
    name: str
    home: Path
    variables: dict[str, str]  # the environment: where AWS is, and TF_VAR_…

    @classmethod
    def prepare(
        cls,
        name: str,
        home: Path,
        environment: dict[str, str],
        *,
        values: Mapping[str, Any] | None = None,
        variables: Mapping[str, Any] | None = None,
    ) -> "Root":
        """Copy the tree under `home` and fetch the provider. The checkout stays as it is, and no state is looked at yet.

        `values` become the root's `terraform.tfvars.json`, `variables` its TF_VAR_….
        """
        found = which_program.chosen()
        if found is None:
            raise TerraformMissingError(f"nothing can be planned or applied: {which_program.missing()}")
        home.mkdir(mode=0o700, parents=True, exist_ok=True)  # plans and rescued states: no password, but an inventory
        forget_old_plans(home)
        ignored = shutil.ignore_patterns(".terraform*", "*.tfstate*")
        shutil.copytree(
            PROJECT_ROOT / "terraform", home / "tree", dirs_exist_ok=True, ignore=ignored, copy_function=_copy
        )
        given = {
            f"TF_VAR_{key}": value if isinstance(value, str) else json.dumps(value)
            for key, value in (variables or {}).items()
        }
        more = {
            "TF_DATA_DIR": str(home / f"{name.replace('/', '-')}.data"),
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
            "CHECKPOINT_DISABLE": "1",
        }
        inherited = {key: value for key, value in environment.items() if not key.startswith(_STEERING)}
        root = cls(found.path, name, home, inherited | cli_config(home, found.registry) | more | given)
        if values is not None:
            (root.folder / "terraform.tfvars.json").write_text(json.dumps(values, indent=2) + "\n")
        root.adopt("")
        root.run("init", "-no-color", "-backend=false")
        return root

    @property
    def folder(self) -> Path:
        """The root in the copy of the tree."""
        return self.home / "tree" / self.name

    @property
    def command(self) -> str:
        """What the program is called: terraform, tofu, or as its file is named."""
        return Path(self.terraform).name

    @property
    def errored_state(self) -> Path:
        """Where Terraform leaves a state that it could not write to its backend. It stays until `rescue` has pushed it."""
        return self.folder / "errored.tfstate"

    def connect(self, backend: Sequence[str]) -> None:
        """Use the state that `backend`, arguments of `terraform init`, leads to."""
        self.run("init", "-no-color", "-reconfigure", *backend)

    def adopt(self, import_blocks: str) -> None:
        """Let the next plan import what the blocks name; an empty text forgets them."""
        (self.folder / "adopted.tf").write_text(import_blocks)

    def provider_version(self) -> str:
        """Version of the AWS provider that was fetched."""
        shown = self.run("version", "-json")
        selected: dict[str, str] = json.loads(shown[shown.index("{") :])["provider_selections"]
        # Each program has a registry of its own in front of the same name.
        return next(version for provider, version in selected.items() if provider.endswith(f"/{_PROVIDER}"))

    def force_unlock(self, lock_id: str) -> None:
        """Break the state's lock, if it is that one."""
        self.run("force-unlock", "-force", "-no-color", lock_id)

    def untaint(self, address: str) -> None:
        """Keep a resource whose creation was cut off, instead of replacing it."""
        self.run("untaint", "-no-color", "-lock-timeout=60s", address)

    def move(self, address: str, to: str) -> None:
        """Note a resource under another address. Nothing at AWS is touched."""
        self.run("state", "mv", "-lock-timeout=60s", address, to)

    def forget(self, address: str) -> None:
        """Note nothing of a resource any more. Nothing at AWS is touched."""
        self.run("state", "rm", "-lock-timeout=60s", address)

    def rescue(self) -> bool:
        """Push a state that an earlier apply could not write; whether there was one.

        Terraform refuses it when the state has moved on since; the file then stays where it is.
        """
        if not self.errored_state.exists():
            return False
        self.run("state", "push", str(self.errored_state))
        self.errored_state.unlink()
        return True

    def run(
        self, command: str, *arguments: str, ok: tuple[int, ...] = (0,), on_line: Callable[[str], None] | None = None
    ) -> str:
        """Run one command to its end and return what it printed; `TerraformError` with its error when it fails."""
        full = [self.terraform, f"-chdir={self.folder}", command, *arguments]
        lines = []
        # Into a file, not a pipe: if we are killed, terraform must not die of a broken pipe before it wrote its state.
        # A file of this call: another run on this root, which only looks whether it may, must not write into what we read.
        with (
            tempfile.NamedTemporaryFile(dir=self.home, prefix=f"{self._slug}-", suffix=".log") as sink,
            open(sink.name, encoding="utf-8", errors="replace") as source,
            _interrupted_once(
                subprocess.Popen(
                    full, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, env=self.variables, start_new_session=True
                ),
                self.command,
            ) as process,
        ):
            for line in _follow(source, process):
                lines.append(line)
                if on_line:
                    on_line(line)
        if process.returncode not in ok:
            raise TerraformError(
                f"{self.command} {command} in {self.name} failed ({process.returncode}): {_reason(lines)}"
            )
        return "".join(lines)

    def plan(self, *arguments: str) -> dict[str, Any]:
        """Plan into a file and return the plan as terraform's JSON. `apply` applies exactly this file.

        What Terraform warned of while it planned is added as `diagnostics`, which `terraform show` does not repeat.
        """
        said = self.run("plan", "-json", "-lock-timeout=60s", f"-out={self._plan_file}", *arguments)
        # Terraform may print warnings on stderr, which is merged; the JSON is the line that starts with a brace.
        shown = self.run("show", "-no-color", "-json", str(self._plan_file))
        plan: dict[str, Any] = next(event for line in shown.splitlines() if (event := _event(line)))
        return plan | {"diagnostics": [event["diagnostic"] for line in said.splitlines() if "diagnostic" in (event := _event(line))]}  # fmt: skip

    def apply(self, on_event: Callable[[dict[str, Any]], None] = lambda _: None) -> None:
        """Apply the plan that `plan` wrote; terraform refuses if the state moved since."""

        def on_line(line: str) -> None:
            if event := _event(line):
                on_event(event)

        try:
            self.run("apply", "-json", "-lock-timeout=60s", str(self._plan_file), on_line=on_line)
        finally:
            self.discard_plan()

    def outputs(self) -> dict[str, Any]:
        """The root's outputs."""
        shown = self.run("output", "-no-color", "-json")
        return {name: value["value"] for name, value in json.loads(shown[shown.index("{") :]).items()}

    def discard_plan(self) -> None:
        """Forget the saved plan; also after a plan that was only looked at."""
        self._plan_file.unlink(missing_ok=True)

    @property
    def _slug(self) -> str:
        return self.name.replace("/", "-")

    @property
    def _plan_file(self) -> Path:
        """Of this process: another run's plan must not be applied by mistake."""
        return self.home / f"{self._slug}-{os.getpid()}.tfplan"


def forget_old_plans(home: Path) -> None:
    """Remove the plans of runs that were killed, and those that were not applied within a day."""
    for left in home.glob("*.tfplan"):
        if time.time() - left.stat().st_mtime > _PLAN_SECONDS:
            left.unlink(missing_ok=True)


def _copy(source: str, target: str) -> None:
    """Copy what differs: a run that reads the tree now must not find a file cut short."""
    if not (os.path.exists(target) and filecmp.cmp(source, target, shallow=False)):
        shutil.copy2(source, target)


def _event(line: str) -> dict[str, Any]:
    """One line of terraform's JSON; empty for everything else that it, or a provider that crashes, prints between."""
    try:
        event = json.loads(line) if line.startswith("{") else {}
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}


def _follow(source: TextIO, process: subprocess.Popen[bytes]) -> Iterator[str]:
    """Lines of a growing file until the process that writes it has ended."""
    pending = ""
    while True:
        ended = process.poll() is not None  # before reading: what comes after it was written before the end
        pending += source.read()
        *lines, pending = pending.split("\n")
        yield from (line + "\n" for line in lines)
        if ended:
            if pending:
                yield pending
            return
        if not lines:
            time.sleep(0.1)


@contextmanager
def _interrupted_once(process: subprocess.Popen[bytes], command: str) -> Iterator[subprocess.Popen[bytes]]:
    try:
        yield process
    except BaseException as error:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)  # once; it now finishes what it started and unlocks
        while process.poll() is None:  # whoever presses Ctrl-C again waits all the same
            with suppress(KeyboardInterrupt):
                process.wait()
        if isinstance(error, KeyboardInterrupt):
            raise KeyboardInterrupt(command + _INTERRUPTED) from None
        raise


def _reason(lines: list[str]) -> str:
    """The error in what terraform printed, as text or as JSON events, on one line."""
    errors = []
    for event in map(_event, lines):
        if event.get("@level") == "error":
            errors.append(" ".join([event["@message"], event.get("diagnostic", {}).get("detail", "")]))
    if not errors:
        text = "".join(lines)
        errors = [text[text.index("Error:") :] if "Error:" in text else text]
    return " ".join(" ".join(errors).replace("│", " ").replace("╵", " ").split())[:1500]
