"""The rights in docs/iam: what each page asks for in the sandbox, enough for it, and each of them needed. Not proven at AWS."""

import json

import policies
import pytest
from click.testing import CliRunner

from aurora_ops.__main__ import cli
from aurora_ops.core.environments import PROJECT_ROOT
from aurora_ops.runner import collection, run
from aurora_ops.sandbox.client import permissions

pytestmark = pytest.mark.minutes(1)
PAGES = [entry.name for entry in collection.collection()]
SHORT = {"load-schema", "set-acu-range"}  # of the others one is `slow`


@pytest.fixture(scope="module")
def deployed():
    """A sandbox with dev deployed."""
    with policies.standing("load-schema") as running:
        yield running


def without(document, action):
    """The policy with one action taken away."""
    parts = [part | {"Action": [one for one in part["Action"] if one != action]} for part in document["Statement"]]
    return document | {"Statement": [part for part in parts if part["Action"]]}


def test_each_page_has_its_policy_and_the_table_is_of_today():
    """`make policies` writes both."""
    kept = {path.stem for path in policies.FOLDER.glob("*.json")}

    assert set(PAGES) == kept
    assert (policies.FOLDER / "README.md").read_text(encoding="utf-8") == policies.table()


@pytest.mark.parametrize("page", PAGES)
def test_no_policy_allows_more_than_it_names(page):
    """No wildcard in an action; every action of a service and an operation."""
    assert [] == [one for one in policies.actions_of(policies.read(page)) if "*" in one or one.count(":") != 1]


def test_pages_that_only_read_have_no_right_to_change():
    reading = [entry.name for entry in collection.collection() if entry.folder == "notebooks" and entry.name != "drift"]

    assert {} == {page: found for page in reading if (found := policies.actions_of(policies.read(page), "Change"))}


@pytest.mark.parametrize("page", [pytest.param(one, marks=() if one in SHORT else pytest.mark.slow) for one in PAGES])
def test_a_page_asks_for_what_its_policy_allows(page, tmp_path):
    """Neither more nor less."""
    with policies.standing(page) as running:
        found = policies.policy(page, policies.asked(running, page, tmp_path))

    assert policies.read(page) == found


def test_a_page_runs_under_exactly_its_policy(deployed, tmp_path):
    with policies.as_user(deployed, policies.read("load-schema")) as key:
        outcome = run.run("load-schema", {}, output_dir=tmp_path, progress=False)

    assert "passed" == outcome.status, outcome
    assert "secretsmanager:GetSecretValue" in permissions.asked(deployed.endpoint_url, key)


@pytest.mark.parametrize("action", ["rds:DescribeDBClusters", "secretsmanager:GetSecretValue"])
def test_without_one_of_its_rights_a_page_is_refused_and_says_which(deployed, tmp_path, action):
    """Exit code 2: nothing was changed."""
    with policies.as_user(deployed, without(policies.read("load-schema"), action)):
        outcome = run.run("load-schema", {}, output_dir=tmp_path, progress=False)

    assert ("refused", 2) == (outcome.status, outcome.exit_code), outcome
    assert action in outcome.error


def test_a_right_to_change_is_needed_by_what_changes(tmp_path):
    """It is said which, and the run is not called passed."""
    with (
        policies.standing("set-acu-range") as running,
        policies.as_user(running, without(policies.read("set-acu-range"), "rds:ModifyDBCluster")),
    ):
        outcome = run.run("set-acu-range", {"max_acu": 4.0}, output_dir=tmp_path, progress=False)

    assert outcome.exit_code in (2, 3), outcome
    assert "rds:ModifyDBCluster" in outcome.error


def test_the_command_prints_a_policy_and_says_that_aws_has_not_seen_it():
    ended = CliRunner().invoke(cli, ["policy", "load-schema"])

    assert (0, policies.read("load-schema")) == (ended.exit_code, json.loads(ended.stdout))
    assert "not proven at AWS" in ended.stderr
    assert 2 == CliRunner().invoke(cli, ["policy", "no-such-page"]).exit_code
    assert (PROJECT_ROOT / "docs" / "iam" / "load-schema.json").is_file()
