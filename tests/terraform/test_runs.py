"""How the terraform program is run: nobody steers it by accident, and a second run on the same root does not disturb the first."""

import json
import os
import threading
import time
from pathlib import Path

import pytest

from aurora_ops.aws import build_environment
from aurora_ops.aws.session import open_session
from aurora_ops.core.environments import settings
from aurora_ops.deploy.deployment import StateLockedError, deployment
from aurora_ops.terraform import program as terraform
from aurora_ops.terraform import state as terraform_state
from aurora_ops.terraform.program import Root, TerraformError

pytestmark = pytest.mark.skipif(terraform.program() is None, reason="terraform 1.11 or later is not installed")

# No provider to fetch: terraform_data is built in. An apply goes on until the file `gate` is there.
SMALL = """
variable "gate" { default = "/" }
resource "terraform_data" "kept" {
  provisioner "local-exec" { command = "until test -e '${var.gate}'; do sleep 0.1; done; echo finished" }
}
check "advice" {
  assert {
    condition     = var.gate != "/"
    error_message = "The gate stands open."
  }
}
"""


@pytest.fixture
def root(tmp_path) -> Root:
    quiet = {"TF_DATA_DIR": str(tmp_path / "data"), "TF_CLI_CONFIG_FILE": os.devnull, "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1"}  # fmt: skip
    made = Root(terraform.program(), "small", tmp_path, {"PATH": os.environ["PATH"]} | quiet)
    made.folder.mkdir(parents=True)
    (made.folder / "main.tf").write_text(SMALL)
    made.run("init", "-no-color")
    return made


def test_another_run_on_the_root_leaves_an_apply_its_events(root, tmp_path):
    """Whoever only looks whether he may deploy, on the same machine, neither ends nor garbles the one who does."""
    gate, events = tmp_path / "gate", []
    root.plan(f"-var=gate={gate}")
    applying = threading.Thread(target=root.apply, args=(events.append,))
    applying.start()
    while not any(event["type"] == "apply_start" for event in events):
        assert applying.is_alive(), events
        time.sleep(0.05)
    root.run("plan", "-help")  # longer than what the apply has said so far
    gate.touch()
    applying.join(60)

    assert {"version", "apply_start", "provision_progress", "apply_complete", "change_summary"} <= {event["type"] for event in events}  # fmt: skip
    assert [] == list(root.home.glob("*.log"))


def test_advice_comes_with_the_plan(root):
    (one,) = root.plan()["diagnostics"]

    assert ("warning", "The gate stands open.") == (one["severity"], one["detail"])


def test_ctrl_c_ends_an_apply_with_its_state_written_and_says_to_run_again(root, tmp_path):
    """Terraform is told once and waited for."""

    def interrupt(event):
        if event["type"] == "apply_start":
            raise KeyboardInterrupt

    root.plan(f"-var=gate={tmp_path / 'gate'}")
    with pytest.raises(KeyboardInterrupt, match="Run again"):
        root.apply(interrupt)

    state = json.loads((root.folder / "terraform.tfstate").read_text())
    assert ["tainted"] == [one["status"] for kept in state["resources"] for one in kept["instances"]]
    assert not (root.folder / ".terraform.tfstate.lock.info").exists()


def test_a_refused_plan_is_told_in_one_line(root):
    (root.folder / "refused.tf").write_text(
        'variable "n" {\n  default = 1\n  validation {\n    condition = var.n > 1\n    error_message = "n is 1."\n  }\n}\n'
    )

    with pytest.raises(TerraformError, match=r"terraform plan in small failed \(1\): .*n is 1\.") as error:
        root.plan()
    assert "\n" not in str(error.value)


def test_what_is_set_in_the_operators_shell_steers_no_run(tmp_path):
    """TF_WORKSPACE would lead to another state, TF_CLI_ARGS to another command, and TF_LOG mixes its lines into the answers."""
    steering = {
        "TF_WORKSPACE": "other",
        "TF_CLI_ARGS_plan": "-target=x",
        "TF_VAR_vpc_cidr": "10.9.0.0/16",
        "TF_LOG": "json",
    }
    configured = os.environ.get("TF_CLI_CONFIG_FILE", "")  # where it names a file, what `.ci/run` wrote there counts
    kept = ({"TF_CLI_CONFIG_FILE": configured} if Path(configured).is_file() else {}) | {
        "TF_TOKEN_app_terraform_io": "x",
        "PATH": os.environ["PATH"],
        "AWS_EC2_METADATA_DISABLED": "true",
    }

    root = Root.prepare("prerequisites", tmp_path / "home", steering | kept, variables={"environment": "dev"})

    assert (kept, "dev") == (
        {k: v for k, v in root.variables.items() if k in steering | kept},
        root.variables["TF_VAR_environment"],
    )
    assert 0o700 == (tmp_path / "home").stat().st_mode & 0o777
    assert root.provider_version()


def test_a_dead_runs_lock_on_the_prerequisites_is_told_and_broken_by_its_id(sandbox):
    """Refused at once, not after Terraform's minute of waiting; and the environment's own state has another lock."""
    session = open_session()
    where = terraform_state.place(session, settings("stg"), "prerequisites")
    build_environment.make_state_bucket(session, where.bucket)
    told = {
        "ID": "70f10609-71e0-ac78-b409-0eab4371691e",
        "Who": "me@host",
        "Operation": "OperationTypeApply",
        "Path": f"{where.bucket}/{where.key}",
    }
    lock = {"Bucket": where.bucket, "Key": f"{where.key}.tflock"}
    session.to_writable().client("s3").put_object(**lock, Body=json.dumps(told))

    with pytest.raises(StateLockedError, match=f"me@host.*lock {told['ID']}.*sandbox reset"):
        deployment(session, "stg").prerequisites()
    made = deployment(session, "stg", break_lock="70f10609-0000-0000-0000-000000000000")
    root = made._prepare(
        "prerequisites", variables={"region": session.region, "project_name": "miyabi", "environment": "stg"}
    )
    made._reach(root, where)
    with pytest.raises(StateLockedError, match="break exactly this lock"):
        made._free_prerequisites(root)
    made.break_lock = told["ID"]
    made._free_prerequisites(root)

    assert (None, "") == (terraform_state.lock(session, where), made.break_lock)


def test_a_plan_that_nobody_applied_is_forgotten_after_a_day(tmp_path):
    """It holds the state of the moment. Another run's, which is about to be applied, stays."""
    for name, age in (("old", 25 * 3600), ("new", 60)):
        (plan := tmp_path / f"environments-dev-{name}.tfplan").touch()
        os.utime(plan, (time.time() - age,) * 2)

    terraform.forget_old_plans(tmp_path)

    assert ["environments-dev-new.tfplan"] == [one.name for one in tmp_path.iterdir()]
