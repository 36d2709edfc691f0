"""Where the terraform tests find the program, its provider, the specification and a copy of terraform/ to work in.

Nothing is written into the repository: `terraform init` leaves a folder and a lock file beside the code it prepares.
"""

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer
from places import ROOT
from sandboxes import in_use

from aurora_ops.aws.session import Session
from aurora_ops.rehearsal.worlds import open_world
from aurora_ops.sandbox.client.state import FRESH

SPEC = ROOT.parent / "shared" / "spec" / "aurora-module.ja.md"


@dataclass(frozen=True)
class Terraform:
    """The terraform program, run inside a copy of terraform/."""

    program: str
    copy: Path
    environment: dict[str, str]

    def run(self, folder: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.program, *arguments],
            cwd=self.copy / folder,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=600,
        )

    def init(self, folder: str) -> None:
        """Skips where the provider cannot be had: without it, nothing can be said about the code. The state stays in the copy."""
        if (self.copy / folder / "backend.tf").exists():
            (self.copy / folder / "backend_override.tf").write_text('terraform {\n  backend "local" {}\n}\n')
        done = self.run(folder, "init", "-no-color", "-input=false")
        if "Failed to query available provider packages" in done.stderr or "Failed to install provider" in done.stderr:
            pytest.skip("the AWS provider is neither in a local mirror nor downloadable")
        assert 0 == done.returncode, done.stderr


def mirror() -> Path | None:
    """A folder that holds providers, laid out by registry, one or two levels below the root."""
    for pattern in ("*/registry.terraform.io", "*/*/registry.terraform.io"):
        for found in sorted(Path("/").glob(pattern)):
            return found.parent
    return None


@pytest.fixture(scope="session")
def terraform(tmp_path_factory) -> Terraform:
    program = shutil.which("terraform")
    if program is None:
        pytest.skip("the terraform program is not installed")

    work = tmp_path_factory.mktemp("terraform")
    copy = shutil.copytree(
        ROOT / "terraform", work / "terraform", ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*")
    )

    # No credentials and no endpoint: what is tested here runs offline.
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "TF_"))}
    environment = inherited | {
        "CHECKPOINT_DISABLE": "1",
        "TF_IN_AUTOMATION": "1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }

    configured = os.environ.get("TF_CLI_CONFIG_FILE", "")
    if Path(configured).is_file():
        environment["TF_CLI_CONFIG_FILE"] = configured
    elif (providers := mirror()) is not None:
        config = work / "cli.tfrc"
        config.write_text(f'provider_installation {{\n  filesystem_mirror {{\n    path = "{providers}"\n  }}\n}}\n')
        environment["TF_CLI_CONFIG_FILE"] = str(config)

    return Terraform(program, copy, environment)


@pytest.fixture(scope="session")
def terraform_spec() -> str:
    """The text of the specification, which lies beside the repository and is not part of it."""
    if not SPEC.is_file():
        pytest.skip(f"the specification is not at {SPEC.relative_to(ROOT.parent)} beside the repository")
    return SPEC.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def terraform_aws() -> Iterator[dict[str, str]]:
    """Environment variables that lead to a plain moto server: enough for a plan, and for the prerequisites."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    server.stop()


@pytest.fixture(scope="module")
def applied() -> Iterator[Session]:
    """A session on a sandbox of its own in which Terraform built dev: a copy, in seconds, of a world that was built once."""
    with in_use(f"{FRESH}-test-{secrets.token_hex(4)}"):
        yield open_world("applied")
