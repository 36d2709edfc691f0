"""Design rule 5: a password is used, and kept nowhere else. So a real drill is run, and everything that it leaves and passes on is searched.

By default that is one drill; the whole rehearsal, Terraform's plan and state included, is `slow`.
"""

import os
import re
import secrets
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import nbformat
import pytest
from sandboxes import in_use
from secret_scan import Watch, contents, forms, holding

from aurora_ops.aws.session import open_session
from aurora_ops.core.environments import settings
from aurora_ops.rehearsal import rehearse
from aurora_ops.runner import run
from aurora_ops.runner.collection import KERNELSPEC
from aurora_ops.runner.kernels import forked
from aurora_ops.sandbox.client import lifecycle
from aurora_ops.sandbox.client.state import ACCOUNT_FILE, root_directory
from aurora_ops.sandbox.dataplane import programs
from aurora_ops.sandbox.dataplane.template import template

# What holds them by design, each readable by its owner only.
HOLDERS = {
    ACCOUNT_FILE: "the account: AWS keeps the master password too, in Secrets Manager",
    "state.json": "the key by which a shell reaches the sandbox, as ~/.aws/credentials would hold it",
    "work/credentials": "the same key for Terraform, which reads it there and not in its environment",
    "templates": "the superuser's password of the data directory that each server starts as a copy of",
}


@pytest.fixture(scope="module")
def sandbox():
    """A sandbox that writes its account, unlike the private ones of other tests, which end with their process."""
    with in_use(f"secrets-{secrets.token_hex(4)}") as name:
        yield lifecycle.start(name)


@pytest.fixture(scope="module")
def watch(sandbox):
    """What was seen of processes since the sandbox started."""
    with Watch(sandbox.directory) as opened:
        yield opened


@pytest.fixture(scope="module")
def drill(sandbox, watch, tmp_path_factory):
    """The folder of a restore drill that passed, with evidence, HTML and journal. Its kernel is an ordinary one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(forked.SOCKET, raising=False)
        return run.run("restore-drill", {}, output_dir=tmp_path_factory.mktemp("runs"))


def secrets_of(sandbox):
    """Each of the sandbox's secrets, and what holds it by design."""
    return {
        "master": (open_session().secret(settings("dev").secret_name), {ACCOUNT_FILE}),
        "key": (sandbox.secret_access_key, {ACCOUNT_FILE, "state.json"}),
        "superuser": (template(programs.find())[1], {ACCOUNT_FILE, "templates"}),
    }


def state_of(sandbox):
    """Every file of the sandbox, and the templates' passwords."""
    templates = contents(root_directory() / "templates")
    return contents(sandbox.directory) | {
        f"templates/{name}": content for name, content in templates.items() if name.endswith(".password")
    }


def in_design(names):
    """Names with what is behind the holder's own left out."""
    return {
        next((holder for holder in HOLDERS if name == holder or name.startswith(f"{holder}/")), name) for name in names
    }


def test_a_password_is_left_nowhere_but_where_the_design_keeps_it(drill, sandbox):
    """The master user's, the sandbox's key and the servers' superuser's: in no evidence, journal, log, sample or data directory."""
    evidence, state = contents(drill.folder), state_of(sandbox)
    assert "passed" == drill.status
    assert {"restore-drill.ipynb", "restore-drill.html", "result.json", "junit.xml"} <= {*evidence}
    assert any(name.startswith("work/journal/") for name in state)
    assert any(name.endswith("PG_VERSION") for name in state)

    for whose, (secret, holders) in secrets_of(sandbox).items():
        assert set() == holding(evidence, [secret]), whose
        assert holders == in_design(holding(state, [secret])), whose


def test_no_process_is_given_a_password(drill, sandbox, watch):
    """Neither as an argument, which everybody on the machine reads, nor in its environment, which its children inherit."""
    assert {"pg_basebackup", "postgres"} <= watch.programs()
    assert any(b"ipykernel_launcher" in content for content in watch.found().values())

    assert set() == holding(watch.found(), [secret for secret, _ in secrets_of(sandbox).values()])


def test_what_holds_passwords_is_read_by_its_owner_only(drill, sandbox):
    """Whatever the umask. The second key's file is made when Terraform is started."""
    folder = Path(sandbox.directory)
    open_session().environ()
    holding_ = [folder / name for name in HOLDERS if name != "templates"] + [*(root_directory() / "templates").glob("*.password")]  # fmt: skip

    assert [0o600] * len(holding_) == [path.stat().st_mode & 0o777 for path in holding_]
    assert len(HOLDERS) <= len(holding_)


def test_the_drill_proved_something_and_left_nothing(drill, sandbox):
    """Rows that were deleted after the restore point came back, and only the source cluster is there."""
    passed = {check["name"] for check in drill.checks if check["verdict"] == "PASS"}

    assert {
        "rows deleted at the source are back",
        "nothing after the restore point",
        "rows of miyabi_dev: public.payments",
        "the copy is gone",
    } <= passed
    assert ["miyabi-dev-aurora-cluster"] == [
        one["DBClusterIdentifier"] for one in open_session().client("rds").describe_db_clusters()["DBClusters"]
    ]


# -- the search finds what is there --------------------------------------------------------------------------------------------

LEAKY = """
from aurora_ops.notebook import evidence
from aurora_ops.core.display import Check, Report
from aurora_ops.aws.session import open_session
from aurora_ops.core.environments import settings
found = open_session().secret(settings("dev").secret_name)
print(found)
evidence.conclude("leaky", Report("leaky", [Check("login", "FAIL", f"with {found}")]))
"""


def test_a_page_that_shows_a_password_is_found(drill, sandbox, tmp_path):
    """In the notebook, its page, the result and JUnit: in each file that a page's words reach."""
    new = nbformat.v4.new_code_cell
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": KERNELSPEC})
    notebook.cells = [new("", id="parameters", metadata={"tags": ["parameters"]}), new(LEAKY, id="work")]
    nbformat.write(notebook, tmp_path / "leaky.ipynb")

    outcome = run.run(str(tmp_path / "leaky.ipynb"), {}, output_dir=tmp_path / "runs")

    secret, _ = secrets_of(sandbox)["master"]
    assert {"leaky.ipynb", "leaky.html", "result.json", "junit.xml"} == holding(contents(outcome.folder), [secret])


@pytest.mark.parametrize("where", ["argument", "environment"])
def test_a_process_that_is_given_one_is_found(tmp_path, where):
    secret = secrets.token_urlsafe(24)
    own = os.environ | ({"PGPASSWORD": secret} if where == "environment" else {})
    words = [sys.executable, "-c", "import time; time.sleep(1)", *([f"--password={secret}"] if where == "argument" else [])]  # fmt: skip

    with Watch(tmp_path) as opened:
        subprocess.run(words, env=own, check=True)

    (found,) = holding(opened.found(), [secret])
    assert found.startswith("arguments of" if where == "argument" else "environment of")


def test_other_forms_of_a_secret_and_tokens_are_found(tmp_path):
    """In a URL, in JSON, in HTML and XML, in base64, and a login's token whatever its signature."""
    secret = 'a"/ + b&c=4'
    for number, form in enumerate(sorted(forms(secret))):
        (tmp_path / f"form-{number}").write_bytes(b"before " + form + b" after")
    (tmp_path / "token").write_text("host:5432/?Action=connect&X-Amz-Signature=" + "0f" * 32)
    (tmp_path / "innocent").write_text("a / b c 4 X-Amz-Signature=…")

    assert {*(f"form-{number}" for number in range(len(forms(secret)))), "token"} == holding(
        contents(tmp_path), [secret]
    )


# -- the whole rehearsal ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.minutes(5)
def test_a_whole_rehearsal_leaves_and_passes_on_no_secret(tmp_path, monkeypatch):
    """Notebooks, pages, results, logs, the plan while it is there, every version of the state, arguments and environments."""
    monkeypatch.delenv(forked.SOCKET, raising=False)
    looked = {}

    @contextmanager
    def own_sandbox():
        with in_use(f"secrets-{secrets.token_hex(4)}") as name:
            running = lifecycle.start(name)
            with Watch(running.directory) as opened:
                yield running.describe()
            s3 = open_session().client("s3")
            objects = {
                f"{bucket['Name']}/{one['Key']} {one['VersionId']}": s3.get_object(Bucket=bucket["Name"], Key=one["Key"], VersionId=one["VersionId"])["Body"].read()
                for bucket in s3.list_buckets()["Buckets"]
                for one in s3.list_object_versions(Bucket=bucket["Name"]).get("Versions", [])
            }  # fmt: skip
            looked.update(
                watched=opened,
                objects=objects,
                state=state_of(running),
                secrets=secrets_of(running),
                where=running.directory,
            )

    monkeypatch.setattr(rehearse, "_own_sandbox", own_sandbox)

    assert 0 == rehearse.rehearse(tmp_path)

    known = [secret for secret, _ in looked["secrets"].values()]
    evidence = contents(tmp_path)
    assert {f"{name}.ipynb" for name, _ in rehearse.STEPS} <= {Path(name).name for name in evidence}
    assert set() == holding(evidence, known)
    watched = looked["watched"]
    assert any(re.search(r"^plan .*tfplan/tfplan$", name) for name in watched.found())
    assert {"terraform", "pg_basebackup", "postgres"} <= watched.programs()
    assert set() == holding(watched.found(), known)
    assert any(".tfstate " in name for name in looked["objects"])
    assert set() == holding(looked["objects"], known)
    assert set(HOLDERS) == in_design(holding(looked["state"], known))
