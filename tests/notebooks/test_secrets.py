"""Design rule 5: a password is used, and kept nowhere. So a real drill is run and everything that it left is searched."""

from pathlib import Path

import pytest

from aurora_ops.aws.session import open_session
from aurora_ops.core.environments import settings
from aurora_ops.runner import run


@pytest.fixture(scope="module")
def drill(sandbox, tmp_path_factory):
    """The folder of a restore drill that passed, with evidence, HTML and journal."""
    return run.run("restore-drill", {}, output_dir=tmp_path_factory.mktemp("runs"))


def contents(*folders):
    return {path: path.read_bytes() for folder in folders for path in Path(folder).rglob("*") if path.is_file()}


def test_no_password_is_left_in_evidence_journal_or_log(drill, sandbox):
    """Of the master user and of the sandbox's own keys; PostgreSQL's data directories hold hashes and are not ours to search."""
    password = open_session().secret(settings("dev").secret_name)
    state = Path(sandbox.directory)
    left = contents(drill.folder, state / "work") | {path: path.read_bytes() for path in state.glob("*.log")}

    assert "passed" == drill.status
    assert {"restore-drill.ipynb", "restore-drill.html", "result.json", "junit.xml"} <= {path.name for path in left}
    for secret in (password, sandbox.secret_access_key):
        assert [] == [path.name for path, content in left.items() if secret.encode() in content]


def test_the_drill_proved_something_and_left_nothing(drill, aws):
    """Rows that were deleted after the restore point came back, and only the source cluster is there."""
    passed = {check["name"] for check in drill.checks if check["verdict"] == "PASS"}

    assert {
        "rows deleted at the source are back",
        "nothing after the restore point",
        "payments",
        "the copy is gone",
    } <= passed
    assert ["miyabi-dev-aurora-cluster"] == [
        one["DBClusterIdentifier"] for one in aws("rds").describe_db_clusters()["DBClusters"]
    ]
