"""A drill on a clone: every check, and no proof of any backup; nothing that counts proofs counts it."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from common import SHOP, connect, create, describe, failed, soon

from aurora_ops.aws.access import open_access
from aurora_ops.core.journal import RUN_ID
from aurora_ops.rehearsal.worlds import open_world
from aurora_ops.restore import drill as restore
from aurora_ops.restore import history, point_in_time
from aurora_ops.restore.evidence import age, finish, missing, proved
from aurora_ops.restore.point_in_time import RestoreRefusedError
from aurora_ops.restore.rehearsal import NOTE
from aurora_ops.runner import run, standing

REGION = "ap-northeast-1"
_RESULT = {
    "name": "restore-drill", "target": "sandbox", "status": "passed", "started_at": "", "seconds": 9.0,
    "parameters": {"cluster": "shop"}, "line": "", "result": {},
}  # fmt: skip


@pytest.fixture(scope="module")
def access(sandbox):
    return open_access(open_world(world="loaded"))


@pytest.fixture
def rehearsed(access, monkeypatch, request):
    """Prepares a rehearsal under a run of its own, and takes its clone away again."""
    monkeypatch.setenv(RUN_ID, f"clone{abs(hash(request.node.name)) % 1000:03}")
    yield lambda **more: restore.drill(access, restore_point="clone", **more)
    restore.clean_up("sandbox", REGION)


def done(found, meanwhile=lambda: None):
    """The checks of a rehearsal on which all was done but the clean-up."""
    found.mark()
    found.restore()
    meanwhile()
    return restore.Report.combine(
        "restore-drill", (found.verify_content(), found.verify_cluster(), found.verify_schema()), found.note
    )


def test_a_clone_is_of_now_and_holds_what_its_source_holds(rds):
    """Without a backup in between: what was committed a moment ago is there. It is a cluster of its own."""
    source = create(rds, "cloned", **SHOP)
    with connect(source) as connection:
        connection.execute("CREATE TABLE t AS SELECT 4711 AS n")
        rds.restore_db_cluster_to_point_in_time(
            DBClusterIdentifier="clone", SourceDBClusterIdentifier="cloned", RestoreType="copy-on-write", UseLatestRestorableTime=True
        )  # fmt: skip
        assert "available" == soon("available", lambda: describe(rds, "clone")["Status"])
        connection.execute("UPDATE t SET n = 0")
    rds.create_db_instance(
        DBInstanceIdentifier="clone-1", DBClusterIdentifier="clone", Engine="aurora-postgresql", DBInstanceClass="db.serverless"
    )  # fmt: skip
    soon(
        "available",
        lambda: rds.describe_db_instances(DBInstanceIdentifier="clone-1")["DBInstances"][0]["DBInstanceStatus"],
    )
    with connect(describe(rds, "clone")) as clone:
        assert (4711,) == clone.execute("SELECT n FROM t").fetchone()


def test_a_rehearsal_passes_and_counts_as_no_proof(access, rehearsed):
    """Of the metric, of the last proof, of the trend, of respond-to-missing-drill; what it took is not expected of a drill."""
    found = rehearsed()
    report = done(found)
    session, cluster = access.session, access.identifier
    kept = proved.of_run(session)
    cleaned = finish.finish(restore.clean_up("sandbox", REGION), "sandbox", REGION, publish_metric=True)
    skipped = {check.name: check.detail for check in report.checks if check.verdict == "SKIP"}
    told = {check.name: (check.verdict, check.detail) for check in missing.missing(access).verify().checks}

    assert ([], "PASS", True) == (failed(report), report.verdict, repr(report).endswith(f"; {NOTE}"))
    assert "of a clone, which is made of no backup" == skipped["RTO and RPO"]
    assert ("SKIP", []) == (kept.verdict, [one.name for one in kept.figures if "RTO" in one.name])
    assert (None, None) == (age.hours(session, kept), age.last_proof(session, cluster))
    assert [] == failed(cleaned)
    assert "SKIP" == next(c.verdict for c in cleaned.checks if c.name == "hours since the last proof are published")
    assert ("SKIP", "SKIP") == (told["last proof"][0], told["what the last drill on this machine said"][0])
    assert NOTE in repr(missing.missing(access).runs().rows)
    assert "Ask the scheduler" in repr(missing.missing(access).advice())
    assert NOTE == found.result()["rehearsal"]
    assert not {"rto_seconds", "validated_seconds"} & found.result().keys()
    assert ((), None) == (
        history.copies_lived(session, cluster, "full"),
        history.usual_seconds(session, cluster, "cluster"),
    )
    assert 1 == len(history.copies_lived(session, cluster, "full, clone"))


def test_a_clone_that_lost_a_row_fails(rehearsed):
    """It is a rehearsal of what finds that."""
    found = rehearsed()

    def lose():
        with found.copy.connect(read_only=False) as copy:
            copy.execute("DELETE FROM public.tenants WHERE id = (SELECT min(id::text)::uuid FROM public.tenants)")

    report = done(found, lose)

    assert any(name.endswith("public.tenants") for name in failed(report))


def test_rows_that_are_written_while_the_clone_is_made_count_for_neither_side(access, rehearsed, monkeypatch):
    """Nobody knows whether they are in it."""
    found = rehearsed(proved_percent=50)
    with access.connect(read_only=False) as source:
        source.execute("CREATE TABLE public.written (at int PRIMARY KEY); INSERT INTO public.written VALUES (1)")
    add = type(found.copy)._add_instance

    def written(copy, *rest):
        with access.connect(read_only=False) as source:
            source.execute("INSERT INTO public.written VALUES (3)")
        add(copy, *rest)

    restoring = restore.Copy._restore

    def while_cloning(copy, *rest):
        from aurora_ops.aws.copies import making

        wait = making.wait_for_cluster

        def waiting(*given):
            with access.connect(read_only=False) as source:
                source.execute("INSERT INTO public.written VALUES (2)")
            return wait(*given)

        with monkeypatch.context() as patched:
            patched.setattr(making, "wait_for_cluster", waiting)
            restoring(copy, *rest)

    monkeypatch.setattr(restore.Copy, "_restore", while_cloning)
    monkeypatch.setattr(restore.Copy, "_add_instance", written)
    report = done(found)
    detail = next(check.detail for check in report.checks if check.name.endswith("public.written"))

    assert [] == failed(report)
    assert detail.startswith("1 of ")


def test_the_real_day_takes_no_clone(access):
    with pytest.raises(RestoreRefusedError, match="a clone is of now, and comes from no backup"):
        point_in_time.restore(access, restore_to="clone")


def test_status_counts_no_rehearsal(tmp_path):
    """A page that passed on clones only is overdue, as if it had never run."""
    now = datetime.now(UTC)
    for hours, rehearsal in ((50, ""), (1, NOTE)):
        at = now - timedelta(hours=hours)
        folder = tmp_path / f"{at:%Y%m%dT%H%M%SZ}_sandbox_restore-drill"
        folder.mkdir()
        kept = _RESULT | {"started_at": f"{at:%FT%TZ}", "result": {"rehearsal": rehearsal} if rehearsal else {}}
        (folder / "result.json").write_text(json.dumps(kept))

    (page,) = standing.read(tmp_path, {"restore-drill": timedelta(days=1)}, now).pages

    assert ("SKIP", True) == (page.last.word, page.overdue.startswith("no PASS for 2.1 days"))


@pytest.mark.slow
def test_the_page_says_so_to_the_end(sandbox, tmp_path):
    """The line of the run, over the checks of its clean-up too."""
    outcome = run.run("restore-drill", {"restore_to": "clone"}, output_dir=tmp_path, progress=False)

    assert ("passed", True) == (outcome.status, outcome.line.endswith(NOTE))
