"""`make policies`: the rights that each page needs at AWS, from what it asked for in the sandbox.

Each page runs as a user of the sandbox's IAM who may do everything, and the sandbox says what that user asked for. What AWS asks for besides,
behind a call, is added from its documentation; the sandbox cannot know it.
"""

import json
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from sandboxes import in_use

from aurora_ops.aws.session import open_session
from aurora_ops.core.environments import PROJECT_ROOT, settings
from aurora_ops.rehearsal.worlds import open_world
from aurora_ops.runner import collection, parameters
from aurora_ops.runner import run as runner
from aurora_ops.sandbox import wire
from aurora_ops.sandbox.client import lifecycle, permissions, state
from aurora_ops.sandbox.client.state import FRESH, State

FOLDER = PROJECT_ROOT / "docs" / "iam"
EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
# The runs whose calls make up a page's policy. By default one that names its cluster, as at AWS: nothing is built for it then.
OF_A_CLUSTER = [{"cluster": ...}, {"prices": "live"}]
RUNS: Mapping[str, list[dict[str, Any]]] = {
    "cost-per-environment": OF_A_CLUSTER,
    "acu-range-what-if": OF_A_CLUSTER,
    "pricing-options": OF_A_CLUSTER,
    "acu-history": OF_A_CLUSTER,
    "database-load": [{"cluster": ..., "source": "live", "minutes": 1}],
    "compare-database-load": [{"cluster": ..., "before": lambda: _ago(75), "after": lambda: _ago(10), "minutes": 1}],
    "run-workload": [{"cluster": ..., "seconds": 3}],
    "drift": [{}],
    "verify-restored-cluster": [{}],
}
# What those runs stand on, where the page's cells name no world.
WORLDS = dict.fromkeys(RUNS, "loaded")
# What AWS asks for behind a call, by the Service Authorization Reference and the guide of the service that makes the call.
BEHIND = {
    "secretsmanager:GetSecretValue": ("kms:Decrypt",),
    "rds:CreateDBCluster": ("rds:AddTagsToResource", "kms:CreateGrant", "kms:DescribeKey", "kms:GenerateDataKey"),
    "rds:CreateDBInstance": ("rds:AddTagsToResource", "iam:PassRole", "kms:CreateGrant", "kms:DescribeKey"),
    "rds:RestoreDBClusterToPointInTime": ("rds:AddTagsToResource", "kms:CreateGrant", "kms:DescribeKey"),
    "rds:DeleteDBCluster": ("rds:CreateDBClusterSnapshot",),
    "pi:GetResourceMetrics": ("kms:Decrypt",),
}
# What a page asks for that those runs had no reason to, and why.
SWEPT = dict.fromkeys(
    ("rds:DeleteDBInstance", "rds:DeleteDBCluster", "rds:DeleteDBClusterSnapshot", "rds:DeleteDBClusterAutomatedBackup", "logs:DeleteLogGroup"),
    "a drill that died left it",
)  # fmt: skip
SETTINGS = dict.fromkeys(
    ("rds:DescribeDBClusterParameters", "rds:DescribeDBParameters"), "what parameter groups of one's own set"
)
ALARMS = ("respond-to-alarm", *(f"alarm-{one}" for one in ("capacity", "connections", "cpu", "local-storage", "replica-lag", "transaction-ids")))  # fmt: skip
LOCK_TREES = {"pi:GetDimensionKeyDetails": "lock trees, with Database Insights advanced"}
ALSO = {
    "drift": {"cloudtrail:LookupEvents": "since when it differs, and by whom: the sandbox keeps no CloudTrail"},
    "clean-up-restore-drills": SWEPT,
    "respond-to-missing-drill": SWEPT,
    "restore-drill": SWEPT | {"cloudwatch:PutMetricData": "tells CloudWatch that a backup was proved, with -p publish_metric"},
    "verify-restored-cluster": {
        "backup:DescribeRestoreJob": "which cluster a restore job made, with -p restore_job",
        "backup:PutRestoreValidationResult": "what AWS Backup is told of it",
        **SETTINGS,
    },
    "upgrade-engine": SETTINGS | {"rds:DescribeEvents": "why RDS left the cluster at its version"},
    "add-reader": {"rds:DeleteDBInstance": "takes away what it added, with -p remove"},
    **dict.fromkeys(("database-load", "compare-database-load"), LOCK_TREES),
    **{page: LOCK_TREES | {"cloudwatch:DescribeAlarmHistory": "since when it rings, with -p alarm"} for page in ALARMS},
}  # fmt: skip


def _environment(page: str) -> str:
    """Whose cluster it is about by default."""
    declared = parameters.read(collection.find(page).path)
    return str(declared["environment"].default) if "environment" in declared else "dev"


def _ago(seconds: float) -> str:
    return f"{datetime.now(UTC) - timedelta(seconds=seconds):%FT%TZ}"


def world_of(page: str) -> str:
    """The world of the sandbox that the page says it needs."""
    found = re.search(r'world=\\?"(\w+)|in_world\(\\?"(\w+)', collection.find(page).path.read_text(encoding="utf-8"))
    return (found[1] or found[2]) if found else WORLDS.get(page, "empty")


@contextmanager
def standing(page: str) -> Iterator[State]:
    """A private sandbox, which this process's sessions use, with what the page starts from in it, for the environment that is its default."""
    with in_use(f"{FRESH}-policies-{secrets.token_hex(4)}") as name:
        open_world(world_of(page), _environment(page))
        running = lifecycle.status(name)
        assert running
        yield running


@contextmanager
def as_user(running: State, document: Mapping[str, Any]) -> Iterator[str]:
    """Sessions opened meanwhile, here and in kernels, are those of a new user with this policy. Yields its access key."""
    name = f"page-{secrets.token_hex(4)}"
    iam = open_session().to_writable().client("iam")
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="page", PolicyDocument=json.dumps(document))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    state.write(replace(running, access_key_id=key["AccessKeyId"], secret_access_key=key["SecretAccessKey"]))
    try:
        yield key["AccessKeyId"]
    finally:
        state.write(running)


def asked(running: State, page: str, folder: Path) -> set[str]:
    """What the page asks for, in a sandbox where its world stands. A run that is refused, or finds something, has asked all the same.

    Raises
    ------
    AssertionError
        A run ended in an error, so what it would have asked for is not known.
    """
    found: set[str] = set()
    declared = parameters.read(collection.find(page).path)
    default = {"cluster": ...} if "cluster" in declared else {}
    for given in RUNS.get(page, [default]):
        values = {name: value() if callable(value) else value for name, value in given.items()}
        if values.get("cluster") is ...:
            values["cluster"] = settings(_environment(page)).cluster_identifier
        with as_user(running, EVERYTHING) as key:
            outcome = runner.run(page, values, output_dir=folder, progress=False)
            found |= permissions.asked(running.endpoint_url, key)
        assert outcome.status != "error", outcome
    return found


def policy(page: str, actions: set[str]) -> dict[str, Any]:
    """The document: what is read, what is changed, and what AWS asks for behind those calls."""
    own = actions | {*ALSO.get(page, {})}
    behind = {more for action in own for more in BEHIND.get(action, ())} - own
    reading = {one for one in own if one.partition(":")[2].startswith(wire.READING)}
    parts = {"Read": reading, "Change": own - reading, "BehindTheseCalls": behind}
    statements = [{"Sid": sid, "Effect": "Allow", "Action": sorted(part), "Resource": "*"} for sid, part in parts.items() if part]  # fmt: skip
    return {"Version": "2012-10-17", "Statement": statements}


def actions_of(document: Mapping[str, Any], *sids: str) -> set[str]:
    """The actions of a document's statements, of all or of these."""
    return {one for part in document["Statement"] if not sids or part["Sid"] in sids for one in part["Action"]}


def read(page: str) -> dict[str, Any]:
    """The page's policy as it is kept."""
    found: dict[str, Any] = json.loads((FOLDER / f"{page}.json").read_text())
    return found


TABLE = """# What each page needs from IAM

Written by `make policies` from what each page asked for in the sandbox; `aurora-ops policy PAGE` prints one. A test runs pages under exactly these
rights, and sees them refused when one is taken away.

**Not proven at AWS.** The sandbox looks at actions and not at resources: narrow `Resource` to your clusters' ARNs, and `iam:PassRole` to the
monitoring role. *Behind* are rights that AWS asks for by its documentation when it makes the calls: nothing here has tried them. A page that runs
Terraform reads and writes its state's bucket; the sandbox also makes that bucket, which `s3:CreateBucket` stands for and you can leave out. deploy-environment's
rights hold those that network, key and secret need, as it makes them in the sandbox. A login by
`iam:USER` needs `rds-db:connect` on that user, too. What a page asks for only with parameters other than those in `tests/support/policies.py` may be missing.

| page | reads | changes | behind |
|---|---|---|---|
"""


def table() -> str:
    """The text of docs/iam/README.md, from the kept policies."""
    rows = []
    for entry in collection.collection():
        document = read(entry.name)
        cells = [sorted(actions_of(document, sid)) for sid in ("Read", "Change", "BehindTheseCalls")]
        services = sorted({one.partition(":")[0] for one in cells[0]})
        counted = f"{len(cells[0])} of {', '.join(services)}" if cells[0] else "nothing"
        rows.append(f"| [{entry.name}]({entry.name}.json) | {counted} | {_list(cells[1])} | {_list(cells[2])} |")
    return TABLE + "\n".join([*rows, ""])


def _list(actions: list[str]) -> str:
    if len(actions) > 8:
        services = sorted({one.partition(":")[0] for one in actions})
        return f"{len(actions)} of {', '.join(services)}"
    return ", ".join(f"`{one}`" for one in actions) or "nothing"


def write(pages: list[str], folder: Path) -> None:
    """Record these pages anew, each in a copy of its world, and write their policies and the table."""
    FOLDER.mkdir(exist_ok=True)
    for page in pages:
        with standing(page) as running:
            document = policy(page, asked(running, page, folder))
        (FOLDER / f"{page}.json").write_text(json.dumps(document, indent=2) + "\n")
        click.echo(f"{page}: {len(actions_of(document))} actions")
    (FOLDER / "README.md").write_text(table(), encoding="utf-8")


if __name__ == "__main__":
    import sys
    import tempfile

    with tempfile.TemporaryDirectory() as runs:
        write(sys.argv[1:] or [entry.name for entry in collection.collection()], Path(runs))
