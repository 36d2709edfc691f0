"""What a drill leaves for an auditor: one page with everything that the verdict rests on, without a value and without a secret."""

import html
import re
import shlex
import shutil
import stat
import subprocess
import tempfile
from datetime import UTC, datetime, timedelta

import pytest
from common import soon

from aurora_ops.aws import changes
from aurora_ops.aws.access import open_access
from aurora_ops.core.environments import settings
from aurora_ops.core.errors import InputError
from aurora_ops.diagnose.alarms.procedure import respond
from aurora_ops.rehearsal.worlds import open_world
from aurora_ops.restore.evidence import age, missing, proved, signing
from aurora_ops.runner.run import run

DEV = settings("dev").cluster_identifier
_MINUTES = 400.0  # CloudWatch looks some periods further back for late data
ALARM = {
    "AlarmName": "dev-restore-proof", "Namespace": age.NAMESPACE, "MetricName": age.METRIC, "Dimensions": [{"Name": age.DIMENSION, "Value": DEV}],
    "Statistic": "Minimum", "ComparisonOperator": "GreaterThanThreshold", "Threshold": 0, "Period": 60, "EvaluationPeriods": 2,
    "TreatMissingData": "breaching",
}  # fmt: skip


@pytest.fixture(scope="module")
def session(sandbox):
    """A sandbox with dev deployed and loaded."""
    return open_world(world="loaded")


@pytest.fixture(scope="module")
def signer(tmp_path_factory):
    """A program that signs: what the user's own would do, with a file beside the page."""
    path = tmp_path_factory.mktemp("bin") / "sign it"
    path.write_text('#!/bin/sh\nsha256sum "$2" > "$2.sig"\n')
    path.chmod(path.stat().st_mode | stat.S_IEXEC)
    return f"'{path}' --file {{file}}"


@pytest.fixture(scope="module")
def outcome(session, signer, tmp_path_factory):
    """A quick drill that passed, signed and published."""
    given = {"depth": "quick", "sign_with": signer, "publish_metric": True}
    return run("restore-drill", given, output_dir=tmp_path_factory.mktemp("runs"), progress=False)


@pytest.fixture(scope="module")
def text(outcome):
    """The page without markup."""
    return html.unescape((outcome.folder / "evidence.html").read_text())


def test_the_page_says_who_when_and_what(outcome, text, session):
    """ARN and account in full: an auditor asks for them."""
    identity = session.client("sts").get_caller_identity()

    assert "passed" == outcome.status
    for said in (
        identity["Arn"],
        identity["Account"],
        DEV,
        outcome.run_id,
        "restore point, UTC",
        "canary rows committed, UTC",
        "RTO: to the first query",
    ):
        assert said in text


def test_the_page_has_every_check_and_the_statements_that_were_asked(outcome, text):
    """Of both sides, with the clean-up's; what was not looked at stands in a table of its own."""
    asked_of_page = ("evidence page", "the evidence is signed", "hours since the last proof are published")

    assert [] == [
        check["name"] for check in outcome.checks if check["name"] not in text and check["name"] not in asked_of_page
    ]
    for statement in (
        "SELECT bt_index_check(%s::oid::regclass, true)",
        "hash_record_extended(x.*, 0)",
        "SELECT count(*) FROM ops.drill_canary WHERE run_id = %s",
    ):
        assert statement in text
    assert {"source, miyabi_dev", "copy, miyabi_dev"} <= set(re.findall(r"(?:source|copy), miyabi_dev", text))


def test_every_call_is_there_with_its_request_id(text, session, outcome):
    """The creating and the deleting ones too, by what the sandbox answered."""
    calls = proved.of_run(session, outcome.run_id).all_calls()
    named = {one.operation for one in calls}

    assert {
        "RestoreDBClusterToPointInTime",
        "CreateDBInstance",
        "DeleteDBInstance",
        "DeleteDBCluster",
        "GetCallerIdentity",
        "PutMetricData",
    } <= named
    assert [] == [one for one in calls if not one.request_id or one.request_id not in text]


def test_no_value_and_no_secret_is_in_it(text, session):
    """Statements have their text: no literal that psycopg put in, no password."""
    asked = re.findall(r'<pre class="text">(.*?)</pre>', text, re.DOTALL)

    assert len(asked) > 50
    assert [] == [one for one in asked if re.search(r"'\d{4}-\d\d-\d\d \d\d:\d\d", one)]
    assert session.secret(settings("dev").secret_name) not in text


def test_it_is_one_file_and_in_the_manifest_with_its_signature(outcome, text):
    """No request leaves it."""
    manifest = (outcome.folder / "manifest.sha256").read_text()

    assert [] == re.findall(r'(?:src|href)="(?!data:)[^"]', text)
    assert {"evidence.html", "evidence.html.sig"} <= {line.split("  ")[1] for line in manifest.splitlines()}
    assert "evidence.html\n" in (outcome.folder / "evidence.html.sig").read_text()


def test_a_signature_that_cannot_be_made_is_refused_before_anything_starts(session, tmp_path):
    """Exit code 2, and no canary row was written."""
    refused = run("restore-drill", {"sign_with": "no-such-program --sign"}, output_dir=tmp_path, progress=False)

    assert ("refused", 2) == (refused.status, refused.exit_code)
    assert "there is no program 'no-such-program' here" in refused.line
    assert proved.of_run(session, refused.run_id) is None


def test_a_program_that_fails_fails_the_run_and_not_the_proof(tmp_path):
    """The page is there without a signature, and the check has the program's words."""
    (tmp_path / "evidence.html").write_text("page")
    check = signing.sign("sh -c 'echo no key >&2; exit 3'", tmp_path / "evidence.html")

    assert ("FAIL", "exit code 3: no key") == (check.verdict, check.detail)
    assert "it made no file beside the page" == signing.sign("true", tmp_path / "evidence.html").detail


@pytest.mark.parametrize("sign_with", ["minisign 'open", "no-such-program"])
def test_what_is_no_command_is_refused(sign_with):
    with pytest.raises(InputError, match="nothing was started"):
        signing.check(sign_with)


@pytest.mark.skipif(shutil.which("gpg") is None, reason="GnuPG is not installed")
def test_gnupg_signs_what_gnupg_verifies(tmp_path, monkeypatch):
    """With a key of its own; the command is the one that the documentation shows."""
    with tempfile.TemporaryDirectory() as home:  # a socket's path has to be short
        monkeypatch.setenv("GNUPGHOME", home)
        subprocess.run(["gpg", "--batch", "--passphrase", "", "--quick-generate-key", "drill@example.com", "ed25519", "sign"], check=True, capture_output=True)  # fmt: skip
        (tmp_path / "evidence.html").write_text("page")
        check = signing.sign("gpg --batch --yes --armor --detach-sign", tmp_path / "evidence.html")
        verified = subprocess.run(
            ["gpg", "--verify", "evidence.html.asc", "evidence.html"], cwd=tmp_path, capture_output=True, check=False
        )

    assert ("PASS", "evidence.html.asc", 0) == (check.verdict, check.detail, verified.returncode)


@pytest.mark.slow
def test_an_alarm_on_the_metric_is_ok_after_a_proof_and_goes_to_alarm_without(session, outcome, aws):
    """Missing data is breaching; an hour of real life is a minute here. What a drill that fails publishes, over 0, is breaching too."""
    cloudwatch, found = aws("cloudwatch"), proved.of_run(session, outcome.run_id)
    # A name of its own: what the drill itself has published would still count.
    cloudwatch.put_metric_alarm(**ALARM | {"Dimensions": [{"Name": age.DIMENSION, "Value": "watched"}]})

    def state():
        return cloudwatch.describe_alarms(AlarmNames=["dev-restore-proof"])["MetricAlarms"][0]["StateValue"]

    def publish(hours):
        changes.put_metric(session, age.NAMESPACE, age.METRIC, hours, {age.DIMENSION: "watched"})

    assert "ALARM" == soon("ALARM", state, _MINUTES)
    publish(25.0)
    assert "ALARM" == soon("OK", state, 90)
    publish(age.hours(session, found))
    assert "OK" == soon("OK", state, _MINUTES)
    assert "ALARM" == soon("ALARM", state, _MINUTES)


@pytest.mark.slow
def test_the_alarm_leads_to_the_drill_that_brings_it_back(session, outcome, aws, tmp_path):
    """The whole loop as whoever is on call walks it: the alarm rings, its page names the page about missing drills, that one prints the drill, which
    is run as printed and publishes; then the alarm is OK, and its page passes."""
    cloudwatch = aws("cloudwatch")
    cloudwatch.put_metric_alarm(**ALARM | {"AlarmName": "loop-restore-proof"})

    def state():
        return cloudwatch.describe_alarms(AlarmNames=["loop-restore-proof"])["MetricAlarms"][0]["StateValue"]

    def answer():
        return respond(lambda *_: session, "sandbox", session.region, alarm="loop-restore-proof", cluster=DEV)

    rang = soon("ALARM", state, _MINUTES)
    first = answer()
    page, _ = printed(first.result()["to_mend_it"])
    name, given = printed(missing.missing(open_access(session, cluster=DEV)).advice().text)
    drill = run(name, given, output_dir=tmp_path, progress=False)
    back = soon("OK", state, _MINUTES)

    assert ("ALARM", "FAIL", "respond-to-missing-drill") == (rang, first.report().verdict, page)
    assert ("restore-drill", {"cluster": DEV, "depth": "quick", "publish_metric": "true"}) == (name, given)
    assert ("passed", "OK", "PASS") == (drill.status, back, answer().report().verdict)


def printed(text):
    """The page and the parameters of the command that a text ends in."""
    _, _, page, *words = shlex.split(text[text.index("aurora-ops run") :])
    pairs = zip(words, words[1:], words[2:], strict=False)
    return page, {name: value for flag, name, value in pairs if flag == "-p"}


def test_the_last_proof_is_found_by_the_metric_where_no_file_is(session, outcome):
    """As on another machine: to the hour of its data point."""
    found = proved.of_run(session, outcome.run_id)
    begun = datetime.fromisoformat(found.started_at)
    assert begun <= age.last_proof(session, DEV)

    shutil.rmtree(found.folder(session))

    assert begun - timedelta(hours=1) <= age.last_proof(session, DEV) <= datetime.now(UTC)
