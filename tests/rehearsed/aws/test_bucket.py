"""Runs in S3: sent from this machine, each file read back, and the list of all; what is refused, and what a cut leaves."""

import hashlib
import json
import secrets
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from fleet_play import Played

from aurora_ops.__main__ import cli
from aurora_ops.aws.kept import bucket
from aurora_ops.aws.kept.bucket import BucketRefusedError, NotSentError
from aurora_ops.core.environments import PROJECT_ROOT
from aurora_ops.fleet import plan as plans
from aurora_ops.fleet import reaching
from aurora_ops.rehearsal import fleets
from aurora_ops.runner import index
from aurora_ops.runner import run as runner
from aurora_ops.sandbox.client.faults import Faults
from aurora_ops.sandbox.client.state import FRESH

REGION = "ap-northeast-1"
PLACE = {"LocationConstraint": REGION}


@pytest.fixture(scope="module")
def s3(aws):
    client = aws("s3")
    client.create_bucket(Bucket="evidence", CreateBucketConfiguration=PLACE)
    return client


@pytest.fixture
def place(s3, live, request):
    """A prefix of its own in the bucket."""
    return bucket.of(f"s3://evidence/{request.node.name.partition('[')[0]}", live)


@pytest.fixture
def faults(sandbox):
    found = Faults(sandbox)
    yield found
    found.clear()


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """Runs of this process go to a clone of the test's own."""
    monkeypatch.setattr(runner, "PROJECT_ROOT", tmp_path / "clone")
    return tmp_path / "clone" / "runs"


def objects(s3, prefix, name="evidence"):
    """Every object below a prefix, in the order in which they were written."""
    found = s3.list_objects_v2(Bucket=name, Prefix=prefix + "/").get("Contents", [])
    return {
        one["Key"].removeprefix(prefix + "/"): s3.get_object(Bucket=name, Key=one["Key"])["Body"].read()
        for one in found
    }


def local(folder):
    return {
        f"{folder.name}/{path.relative_to(folder).as_posix()}": path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def run_folder(parent, number=1, status="passed"):
    """What a run leaves, small."""
    folder = parent / f"20261128T05000{number}Z_sandbox_drift"
    (folder / "more").mkdir(parents=True)
    content = {
        "name": "drift", "target": "sandbox", "status": status, "line": f"no difference {number}", "started_at": f"2026-11-28T05:00:0{number}Z",
        "seconds": 1.0, "parameters": {}, "result": {"differences": 0},
    }  # fmt: skip
    (folder / "result.json").write_text(json.dumps(content))
    (folder / "drift.html").write_text("<p>page</p>")
    (folder / "more" / "figure.png").write_bytes(bytes(range(256)))
    sums = [
        f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}" for name in ("drift.html", "result.json")
    ]
    (folder / "manifest.sha256").write_text("\n".join(sums) + "\n")
    return folder


def test_a_run_is_kept_in_the_bucket_and_in_the_clones_runs(s3, clone):
    """`aurora-ops run --output-dir s3://…`: every file of the folder, the page as a page, and the list beside it."""
    ended = CliRunner().invoke(cli, ["run", "acu-range-what-if", "--output-dir", "s3://evidence/a/b/"])

    assert 0 == ended.exit_code, ended.output
    (folder,) = clone.glob("*_acu-range-what-if")
    assert f"evidence: s3://evidence/a/b/{folder.name} and {folder}" in ended.output
    kept = objects(s3, "a/b")
    assert local(folder) == {key: one for key, one in kept.items() if key.startswith(folder.name)}
    assert f'href="{folder.name}/acu-range-what-if.html"' in kept["index.html"].decode()
    found = s3.head_object(Bucket="evidence", Key=f"a/b/{folder.name}/acu-range-what-if.html")
    assert "text/html" == found["ContentType"]


@pytest.mark.parametrize(
    ("url", "fault", "said"),
    [
        ("s3://nobody-has-it/runs", None, "s3://nobody-has-it/runs cannot keep a run (PutObject: NoSuchBucket), so nothing was started"),
        ("s3://evidence/runs", "PutObject", "cannot keep a run (PutObject: AccessDenied), so nothing was started. It takes s3:PutObject"),
        ("s3://evidence/runs", "GetObject", "cannot keep a run (GetObject: AccessDenied), so nothing was started"),
        ("s3://evidence/runs", "ListObjectsV2", "cannot keep a run (ListObjectsV2: AccessDenied), so nothing was started"),
        ("s3://Not_A_Bucket/runs", None, "s3://Not_A_Bucket/runs names no bucket, so nothing was started. Write s3://BUCKET"),
    ],
)  # fmt: skip
def test_a_bucket_that_refuses_is_said_before_anything_starts(s3, clone, faults, url, fault, said):
    """Neither a folder nor a kernel: input refused."""
    if fault:
        faults.fail(fault, "AccessDenied", 99, service="s3", status=403)

    ended = CliRunner().invoke(cli, ["run", "acu-range-what-if", "--output-dir", url])

    assert (2, True) == (ended.exit_code, said in ended.output), ended.output
    assert not clone.exists()


@pytest.mark.parametrize("after", range(4))
def test_a_cut_loses_nothing_and_sending_again_goes_on(s3, place, faults, tmp_path, after):
    """Wherever it is cut the folder is as it was, the bucket says by a missing manifest that it is not whole, and the advice works."""
    folder = run_folder(tmp_path, after + 1)
    before = local(folder)
    faults.fail("PutObject", "AccessDenied", 1, after=after, service="s3", status=403)

    with pytest.raises(
        NotSentError, match=f"Its evidence is complete in {folder}. Send it again: aurora-ops send {folder} s3://"
    ):
        place.send(folder)

    prefix = place.prefix.rstrip("/")
    assert before == local(folder)
    assert f"{folder.name}/manifest.sha256" not in objects(s3, prefix)

    again = CliRunner().invoke(cli, ["send", str(folder), place.url])

    assert (0, f"evidence: {place.url}/{folder.name} and {folder}\n") == (again.exit_code, again.output)
    assert before.items() <= objects(s3, prefix).items()


def test_an_interrupt_while_it_is_sent_says_how_to_go_on(place, tmp_path, monkeypatch):
    """Ctrl-C after the run's end: its verdict is known, and its evidence is complete here."""
    folder = run_folder(tmp_path)

    def interrupted(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr(place.client, "put_object", interrupted)

    with pytest.raises(NotSentError, match=r"it was interrupted\). Its evidence is complete in .* aurora-ops send "):
        place.send(folder)


def test_a_fleets_folder_is_no_run_that_was_killed(tmp_path):
    """On the list of this machine: it has a page of its own, and no result of one page."""
    (tmp_path / "20261128T050000Z_fleet_restore-drill").mkdir()
    (tmp_path / "20261128T050000Z_fleet_restore-drill" / index.FLEET).write_text("{}")

    assert [] == index.runs(tmp_path)


def test_an_object_that_is_not_what_was_sent_is_found(s3, place, tmp_path, monkeypatch):
    """Changed on its way: the last byte is lost."""
    folder = run_folder(tmp_path)
    put = place.client.put_object
    monkeypatch.setattr(place.client, "put_object", lambda **sent: put(**sent | {"Body": sent["Body"][:-1]}))

    with pytest.raises(NotSentError, match="is not what was sent"):
        place.send(folder)


def test_what_is_there_already_is_not_sent_again(s3, place, tmp_path, monkeypatch):
    folder = run_folder(tmp_path)
    place.send(folder)
    put, sent = place.client.put_object, []
    monkeypatch.setattr(place.client, "put_object", lambda **all_: sent.append(all_["Key"]) or put(**all_))

    place.send(folder)

    assert {f"{place.prefix}.index.json", f"{place.prefix}index.html"} == set(sent)


def test_the_list_has_every_run_of_the_place_and_one_that_was_cut_off(s3, place, faults, tmp_path):
    """As that of a folder: the same words for the same runs. A run is read once, and remembered."""
    whole = [run_folder(tmp_path, number, status) for number, status in ((1, "passed"), (2, "failed"))]
    for one in whole:
        place.send(one)
    cut = run_folder(tmp_path, 3)
    faults.fail("PutObject", "AccessDenied", 1, after=1, service="s3", status=403)
    with pytest.raises(NotSentError):
        place.send(cut)
    place.send(whole[0])

    kept = objects(s3, place.prefix.rstrip("/"))
    remembered = index.remembered(kept[index.MEMORY].decode())
    (cut / "result.json").unlink()

    assert index.render(index.runs(tmp_path)) == kept[index.PAGE].decode()
    assert {one.name for one in whole} == set(remembered)


def test_a_run_that_another_machine_sends_meanwhile_is_on_the_list(s3, place, live, tmp_path, monkeypatch):
    """Between this one's look at the place and its list."""
    other, first = run_folder(tmp_path, 2), run_folder(tmp_path, 1)
    render, sent = index.render, []

    def late(shown):
        if not sent:
            sent.append(other)
            bucket.of(place.url, live).send(other)
        return render(shown)

    monkeypatch.setattr(index, "render", late)
    place.send(first)

    assert other.name in objects(s3, place.prefix.rstrip("/"))[index.PAGE].decode()


def test_status_and_open_reach_what_is_kept_there(place, tmp_path):
    """The same words as of the folder; a page is read into the state folder, with all that lies beside it."""
    old, new = run_folder(tmp_path, 1, "failed"), run_folder(tmp_path, 2)
    for one in (old, new):
        place.send(one)

    def asked(*words, output_dir=place.url):
        return CliRunner().invoke(cli, [*words, "--output-dir", str(output_dir)])

    stands = asked("status")
    pages = {run: Path(asked("open", "--print", run).stdout.strip()) for run in ("", "drift", old.name)}
    assert asked("status", output_dir=tmp_path).stdout.replace(str(tmp_path), place.url) == stands.stdout
    assert (0, f"PASS  2 runs of 1 pages in {place.url}: 0 failed when last run, 0 overdue") == (
        stands.exit_code,
        stands.stdout.splitlines()[0],
    )
    assert [new.name, new.name, old.name] == [path.parent.name for path in pages.values()]
    assert [local(new), local(new), local(old)] == [local(path.parent) for path in pages.values()]


def test_what_of_a_bucket_cannot_be_opened_is_said(s3, place, faults, tmp_path):
    """The overview, whose links would lead nowhere; a run of no such name; a page that was changed; a key that would lie elsewhere."""
    folder = run_folder(tmp_path)
    place.send(folder)

    def refused(*words):
        ended = CliRunner().invoke(cli, [*words, "--output-dir", place.url])
        return ended.exit_code, ended.stderr

    code, said = refused("open", "index")
    assert (2, True) == (code, f"copy them: aws s3 sync {place.url} FOLDER, then" in said)
    assert (2, True) == (lambda code, said: (code, "Did you mean 'drift'?" in said))(
        *refused("open", "drfit")
    )  # codespell:ignore
    s3.put_object(Bucket="evidence", Key=f"{place.prefix}{folder.name}/drift.html", Body=b"<p>another</p>")
    code, said = refused("open", "drift")
    assert (3, True) == (code, f"{folder.name}/drift.html is not what the run's manifest.sha256 says" in said)
    s3.put_object(Bucket="evidence", Key=f"{place.prefix}{folder.name}/../../../planted", Body=b"")
    code, said = refused("open", "drift")
    assert (3, True) == (code, "is no file of a run, so nothing of it was opened" in said)
    faults.fail("ListObjectsV2", "AccessDenied", 99, service="s3", status=403)
    code, said = refused("status")
    assert (3, True) == (
        code,
        f"{place.url} cannot be read (ListObjectsV2: AccessDenied). It takes s3:GetObject" in said,
    )


def test_a_name_that_is_no_bucket_is_refused(live):
    with pytest.raises(BucketRefusedError, match="s3://x names no bucket"):
        bucket.of("s3://x", live)


def test_a_fleets_run_goes_to_the_bucket_of_its_first_account(tmp_path):
    """`fleet run --output-dir s3://…`: page, CSV and each cluster's evidence; on the list of runs it is none of one page."""
    prefix = f"{FRESH}-test-{secrets.token_hex(3)}"
    try:
        played = Played(prefix, fleets.write(prefix, fleets.Sizes(2, 0, 0, 1, 1), tmp_path / "fleet.toml"))
        s3 = reaching.session(played.fleet.accounts[0], REGION).to_writable().client("s3")
        refused = played.ask("run", "cost-per-environment", "--figures-only", "--output-dir", "s3://fleets/x")
        s3.create_bucket(Bucket="fleets", CreateBucketConfiguration=PLACE)

        done = played.ask("run", "cost-per-environment", "--figures-only", "--output-dir", "s3://fleets/x")

        folder = Path(done.stdout.split(" and ")[-1].splitlines()[0])
        kept = objects(s3, "x", "fleets")
        assert (2, True) == (refused.returncode, "NoSuchBucket" in refused.stderr)
        assert done.returncode in (0, 1), done.stdout + done.stderr
        assert f"evidence: s3://fleets/x/{folder.name} and {PROJECT_ROOT / 'runs' / folder.name}\n" in done.stdout
        assert local(folder).items() <= kept.items()
        assert 2 == sum(key.endswith("/result.json") for key in kept) == len(plans.read(folder).tasks)
        assert "No run yet." in kept["index.html"].decode()
        shutil.rmtree(folder)
    finally:
        fleets.remove(prefix)
