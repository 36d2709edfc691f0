"""What ran: `open` shows a run's page, `status` says what ran last, what failed and what is overdue."""

import json
import sys
import webbrowser
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aurora_ops.commands.base import OUTPUT_DIR, REGION, TARGET, is_bucket, told
from aurora_ops.core.environments import PROJECT_ROOT

if TYPE_CHECKING:
    from aurora_ops.aws.kept.bucket import Bucket
    from aurora_ops.aws.session import Session


def _runs(output_dir: Path | None) -> Path:
    return (output_dir or PROJECT_ROOT / "runs").expanduser().absolute()


def _bucket(url: object, target: str, region: str) -> "tuple[Bucket, Session]":
    from aurora_ops.aws import session
    from aurora_ops.aws.kept import bucket

    opened = session.open_session(target, region)
    return bucket.of(url, opened), opened


def _complete(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    from aurora_ops.runner import index

    found = index.runs(_runs(ctx.params.get("output_dir")))
    names = dict.fromkeys(["index", *(one.name for one in found), *(one.folder for one in found)])
    return [name for name in names if name.startswith(incomplete)]


@click.command("open", short_help="A run's page, in the browser.")
@click.argument("run", default="", metavar="[RUN]", shell_complete=_complete)
@click.option("--print", "only_print", is_flag=True, help="Print the path and open nothing.")
@OUTPUT_DIR
@TARGET
@REGION
@told
def open_(run: str, only_print: bool, output_dir: Path | None, target: str, region: str) -> None:
    """Open the page of RUN in the browser, and print its path.

    RUN is the name of a run's folder, or a page, of which the newest run is meant; `index` is the overview of all runs. By default
    the newest run. One that is kept in S3 is read into the state folder, with the credentials of --target.
    """
    from aurora_ops.runner import index

    path = _fetched(output_dir, run, target, region) if is_bucket(output_dir) else index.page_of(_runs(output_dir), run)
    click.echo(path)
    if only_print:
        return
    try:
        opened = webbrowser.open(path.as_uri())
    except webbrowser.Error:
        opened = False
    if not opened:
        click.echo("no browser was found on this machine: open the path in one", err=True)


def _fetched(output_dir: Path | None, wanted: str, target: str, region: str) -> Path:
    from aurora_ops.runner import index

    place, session = _bucket(output_dir, target, region)
    if wanted == "index":
        raise index.UnknownRunError(
            f"the overview in {place.url} leads to pages that lie beside it. How they stand: aurora-ops status --output-dir {place.url}. "
            f"To open it, copy them: aws s3 sync {place.url} FOLDER, then aurora-ops open index --output-dir FOLDER"
        )
    run = index.which(place.runs(), wanted, place.url)
    parent = session.state_directory / "fetched" / place.name / place.prefix
    return index.page_in(place.fetch(run.folder, parent), run)


@click.command(short_help="What ran last, what failed, what is overdue.")
@click.option("--every", "rhythms", multiple=True, metavar="PAGE=DAYS", help="How often a page is to pass; it is overdue when that is exceeded.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="All of it as JSON, for programs.")
@OUTPUT_DIR
@TARGET
@REGION
@told
def status(rhythms: Sequence[str], as_json: bool, output_dir: Path | None, target: str, region: str) -> None:
    """What ran last of each page and cluster, what failed, and what is overdue; exit 1 where something failed or is overdue.

    A page is overdue when it has not passed for the DAYS of --every, or, without that, for twice the usual time between its runs
    (the median, from four runs on). --target and --region are those of a bucket; a folder has the runs of every target.
    """
    from aurora_ops.runner import collection, standing

    wanted = standing.rhythms(rhythms, [entry.name for entry in collection.collection()])
    now = datetime.now(UTC)
    if is_bucket(output_dir):
        place, _ = _bucket(output_dir, target, region)
        found = standing.of(place.runs(), place.url, wanted, now)
    else:
        found = standing.read(_runs(output_dir), wanted, now)
    click.echo(json.dumps([_as_dict(one) for one in found.pages], indent=1, ensure_ascii=False) if as_json else found)
    sys.exit(found.verdict == "FAIL")


def _as_dict(one: Any) -> dict[str, Any]:
    last = one.last
    return {
        "page": one.name,
        "target": one.target,
        "subject": one.subject,
        "verdict": last.word if last else None,
        "line": last.line if last else "never run",
        "started_at": last.started_at if last else None,
        "run": last.folder if last else None,
        "passed_at": f"{one.passed_at:%Y-%m-%dT%H:%M:%SZ}" if one.passed_at else None,
        "overdue": one.overdue or None,
    }


@click.command(short_help="Send a run's evidence to a bucket.")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("url", metavar="s3://BUCKET/PREFIX")
@TARGET
@REGION
@told
def send(folder: Path, url: str, target: str, region: str) -> None:
    """Send FOLDER, the evidence of a run or of a fleet's run, to a bucket, each file read back, and rebuild the bucket's list of runs.

    What is there already is left, so that it also goes on where it was cut off. The folder stays.
    """
    place, _ = _bucket(url, target, region)
    place.check()
    click.echo(f"evidence: {place.send(folder.absolute())} and {folder}")
