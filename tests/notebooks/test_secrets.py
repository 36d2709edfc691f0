"""Design rule 5: a password is used, and kept nowhere else. So a real drill is run and everything that it left is searched."""

import secrets
from contextlib import suppress
from pathlib import Path

import pytest
from sandboxes import in_use

from aurora_ops.aws.session import open_session
from aurora_ops.core.environments import settings
from aurora_ops.runner import run
from aurora_ops.sandbox.client import lifecycle
from aurora_ops.sandbox.client.state import ACCOUNT_FILE, root_directory
from aurora_ops.sandbox.dataplane import programs
from aurora_ops.sandbox.dataplane.template import template

# What holds them by design, each readable by its owner only.
HOLDERS = {
    ACCOUNT_FILE: "the account: AWS keeps the master password too, in Secrets Manager",
    "state.json": "the key by which a shell reaches the sandbox, as ~/.aws/credentials would hold it",
    "templates": "the superuser's password of the data directory that each server starts as a copy of",
}


@pytest.fixture(scope="module")
def sandbox():
    """A sandbox that writes its account, unlike the private ones of other tests, which end with their process."""
    with in_use(f"secrets-{secrets.token_hex(4)}") as name:
        yield lifecycle.start(name)


@pytest.fixture(scope="module")
def drill(sandbox, tmp_path_factory):
    """The folder of a restore drill that passed, with evidence, HTML and journal."""
    return run.run("restore-drill", {}, output_dir=tmp_path_factory.mktemp("runs"))


def contents(folder):
    """Every file below, by its path there. PostgreSQL removes some of its own while they are read."""
    found = {}
    for path in Path(folder).rglob("*"):
        with suppress(FileNotFoundError):
            if path.is_file():
                found[path.relative_to(folder).as_posix()] = path.read_bytes()
    return found


def test_a_password_is_left_nowhere_but_where_the_design_keeps_it(drill, sandbox):
    """The master user's, the sandbox's key and the servers' superuser's: in no evidence, journal, log, sample or data directory."""
    in_design = {
        "master": (open_session().secret(settings("dev").secret_name), {ACCOUNT_FILE}),
        "key": (sandbox.secret_access_key, {ACCOUNT_FILE, "state.json"}),
        "superuser": (template(programs.find())[1], {ACCOUNT_FILE, "templates"}),
    }
    evidence, templates = contents(drill.folder), contents(root_directory() / "templates")
    state = contents(sandbox.directory) | {
        f"templates/{name}": content for name, content in templates.items() if name.endswith(".password")
    }
    assert "passed" == drill.status
    assert {"restore-drill.ipynb", "restore-drill.html", "result.json", "junit.xml"} <= {*evidence}
    assert any(name.startswith("work/journal/") for name in state)
    assert any(name.endswith("PG_VERSION") for name in state)

    for whose, (secret, holders) in in_design.items():
        assert [] == [name for name, content in evidence.items() if secret.encode() in content], whose
        found = {name for name, content in state.items() if secret.encode() in content}
        assert holders == {name.split("/")[0] for name in found}, whose


def test_what_holds_passwords_is_read_by_its_owner_only(drill, sandbox):
    """Whatever the umask."""
    folder = Path(sandbox.directory)
    holding = [folder / ACCOUNT_FILE, folder / "state.json", *(root_directory() / "templates").glob("*.password")]

    assert {(name, 0o600) for name in HOLDERS} == {
        (path.name if path.parent == folder else path.parent.name, path.stat().st_mode & 0o777) for path in holding
    }


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
