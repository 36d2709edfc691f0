"""Real Terraform with its state in the sandbox's S3 and its lock file beside it: one writer at a time, and no state is ever lost."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aurora_ops.terraform import program as terraform

pytestmark = pytest.mark.skipif(terraform.program() is None, reason="terraform 1.11 or later is not installed")

HANG = 300  # seconds after which a run hangs: a bound, not an expectation, for two busy cores are slow
BUCKET, KEY = "terraform-states", "small/terraform.tfstate"
BACKEND = f"""
terraform {{
  backend "s3" {{
    bucket         = "{BUCKET}"
    key            = "{KEY}"
    region         = "ap-northeast-1"
    use_path_style = true
    use_lockfile   = true
  }}
}}
"""
# No provider to fetch: terraform_data is built in. An apply of a new value holds the lock until the file `gate` is there.
ROOT = """
variable "value" { type = string }
variable "gate" { default = "/" }
resource "terraform_data" "kept" {
  triggers_replace = var.value
  provisioner "local-exec" { command = "until test -e '${var.gate}'; do sleep 0.1; done" }
}
output "value" { value = terraform_data.kept.triggers_replace }
"""


@dataclass(frozen=True)
class Root:
    """A small root in a folder of its own, as somebody else's checkout would be."""

    folder: Path
    environment: dict[str, str]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["terraform", *arguments], cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=HANG,
        )  # fmt: skip

    def apply(self, value: str) -> subprocess.CompletedProcess[str]:
        return self.run("apply", "-auto-approve", "-no-color", "-input=false", f"-var=value={value}")

    def value(self) -> str:
        return json.loads(self.run("output", "-json", "value").stdout)

    @contextmanager
    def applying(self, value: str, gate: Path) -> Iterator[subprocess.Popen[str]]:
        """An apply that goes on, in a process group of its own, ended whatever happens."""
        process = subprocess.Popen(
            ["terraform", "apply", "-auto-approve", "-no-color", "-input=false", f"-var=value={value}", f"-var=gate={gate}"],
            cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate(timeout=HANG)


@pytest.fixture(scope="module")
def s3(aws) -> Any:
    client = aws("s3")
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"})
    client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    return client


@pytest.fixture(scope="module")
def roots(sandbox, s3, tmp_path_factory) -> tuple[Root, Root]:
    """Two checkouts with one state."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "TF_"))}
    quiet = {"CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1", "TF_CLI_CONFIG_FILE": os.devnull}
    found = []
    for name in ("one", "two"):
        folder = tmp_path_factory.mktemp(name)
        (folder / "main.tf").write_text(BACKEND + ROOT)
        root = Root(folder, inherited | sandbox.variables | quiet | {"AWS_EC2_METADATA_DISABLED": "true"})
        done = root.run("init", "-no-color", "-input=false")
        assert 0 == done.returncode, done.stderr
        found.append(root)
    return found[0], found[1]


def state(s3) -> dict[str, Any]:
    return json.loads(s3.get_object(Bucket=BUCKET, Key=KEY)["Body"].read())


def lock(s3, seconds: float = HANG) -> dict[str, Any]:
    """What the lock file says, awaited."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return json.loads(s3.get_object(Bucket=BUCKET, Key=f"{KEY}.tflock")["Body"].read())
        except s3.exceptions.NoSuchKey:
            assert time.monotonic() < deadline, "nobody took the lock"
            time.sleep(0.1)


def keys(s3) -> list[str]:
    return [one["Key"] for one in s3.list_objects_v2(Bucket=BUCKET)["Contents"]]


def test_the_state_lies_in_the_bucket_and_its_versions_stay(roots, s3):
    """The lock is gone after each run, and what another checkout wrote is what the next one reads."""
    one, two = roots
    assert 0 == one.apply("first").returncode
    assert 0 == two.apply("second").returncode

    versions = s3.list_object_versions(Bucket=BUCKET, Prefix=KEY)["Versions"]
    assert ("second", "second", [KEY]) == (one.value(), state(s3)["outputs"]["value"]["value"], keys(s3))
    assert 2 <= len([version for version in versions if version["Key"] == KEY])


def test_of_two_applies_at_once_the_second_is_refused_and_told_who_holds_the_lock(roots, s3, tmp_path):
    one, two = roots
    with one.applying("held", tmp_path / "gate") as first:
        holder = lock(s3)
        second = two.apply("refused")
        (tmp_path / "gate").touch()
        output, _ = first.communicate(timeout=HANG)

    assert (0, 1) == (first.returncode, second.returncode), output
    assert "Error acquiring the state lock" in second.stderr
    assert "PreconditionFailed" in second.stderr
    assert {holder["ID"], holder["Who"]} == {text for text in (holder["ID"], holder["Who"]) if text in second.stderr}
    assert ("held", [KEY]) == (state(s3)["outputs"]["value"]["value"], keys(s3))


def test_a_killed_applys_lock_stays_until_it_is_broken_by_its_id(roots, s3, tmp_path):
    """kill -9 leaves the lock and the state as they were. Nobody gets past it, and a wrong id does not break it."""
    one, two = roots
    assert 0 == two.apply("before").returncode
    before = state(s3)
    with one.applying("killed", tmp_path / "gate") as process:
        stale = lock(s3)["ID"]
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=HANG)

    assert 1 == two.apply("refused").returncode
    assert 1 == two.run("force-unlock", "-force", "-no-color", "00000000-0000-0000-0000-000000000000").returncode
    assert stale == lock(s3)["ID"]
    assert before["lineage"] == state(s3)["lineage"]

    broken = two.run("force-unlock", "-force", "-no-color", stale)
    assert 0 == broken.returncode, broken.stderr
    assert [KEY] == keys(s3)
    assert 0 == two.apply("after").returncode
    assert ("after", before["lineage"]) == (one.value(), state(s3)["lineage"])
    assert before["serial"] < state(s3)["serial"]


def test_a_state_that_was_lost_from_the_bucket_is_in_its_versions(roots, s3):
    """Whoever deletes the object deletes no state: the version before the marker is all of it."""
    one, _ = roots
    assert 0 == one.apply("kept").returncode
    s3.delete_object(Bucket=BUCKET, Key=KEY)

    (marker,) = [m for m in s3.list_object_versions(Bucket=BUCKET, Prefix=KEY)["DeleteMarkers"] if m["Key"] == KEY]
    s3.delete_object(Bucket=BUCKET, Key=KEY, VersionId=marker["VersionId"])

    assert ("kept", 0) == (
        one.value(),
        one.run("plan", "-detailed-exitcode", "-input=false", "-var=value=kept").returncode,
    )
