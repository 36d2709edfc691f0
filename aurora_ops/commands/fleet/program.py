"""`fleet`: many clusters in many accounts."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aurora_ops.commands.base import OUTPUT_DIR, Commands, told
from aurora_ops.commands.run import POSITIVE, Run, complete_page, given

if TYPE_CHECKING:
    from aurora_ops.aws.kept.bucket import Bucket
    from aurora_ops.fleet.description import Fleet
    from aurora_ops.fleet.discovery import Found
    from aurora_ops.fleet.plan import Plan


def _described(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which clusters are meant."""
    for option in (
        click.option("--filter", "filters", multiple=True, metavar="KEY=PATTERN", help="Only clusters that meet all of them: account, region, name, version, status, kind or tag:NAME; * and ? stand for anything."),
        click.option("--all", "everything", is_flag=True, help="Every AWS profile of this machine, in every region with RDS, instead of a file."),
        click.option("--fleet", "file", type=click.Path(dir_okay=False, path_type=Path), help="The fleet's description; by default fleet.toml of this folder."),
    ):  # fmt: skip
        command = option(command)
    return command


def _asked(command: Callable[..., Any]) -> Callable[..., Any]:
    """The page, its parameters, over which clusters, and within what."""
    for option in (
        OUTPUT_DIR,
        click.option("--budget-usd", type=click.FloatRange(min=0), metavar="USD", help="What all drills together may cost: the sum of their max_cost_usd."),
        click.option("--each", type=POSITIVE, default=14400, show_default=True, metavar="SECONDS", help="The deadline of each run."),
        click.option("--figures-only", is_flag=True, help="Of cost-per-environment: what each cluster costs and which range fits it, without a page for each."),
        _described,
        click.option("-p", "--parameter", "pairs", multiple=True, metavar="NAME=VALUE", help="A parameter of the page, for every cluster; it stands above the file's."),
        click.argument("page", default="", metavar="PAGE", shell_complete=complete_page),
    ):  # fmt: skip
        command = option(command)
    return command


def _fleet(file: Path | None, everything: bool) -> "Fleet":
    from aurora_ops.fleet import description

    if file and everything:
        raise click.UsageError("--fleet and --all are two answers to one question. Give one.")
    if not everything:
        return description.read(file or Path(description.FILE))
    import boto3

    from aurora_ops.aws import session

    return description.every_profile(boto3.Session().available_profiles, session.regions())


@contextmanager
def _discovered(file: Path | None, everything: bool, filters: tuple[str, ...]) -> "Iterator[tuple[Fleet, Found]]":
    """The fleet as it is described and as it was found. Within it, its roles are profiles."""
    from aurora_ops.fleet import discovery, reaching

    described = _fleet(file, everything)
    with reaching.configured(reaching.configuration(described.accounts)):
        yield described, discovery.discover(described, filters)


def _planned(
    page: str,
    pairs: tuple[str, ...],
    file: Path | None,
    everything: bool,
    filters: tuple[str, ...],
    each: float,
    budget_usd: float | None,
    figures_only: bool,
    output_dir: Path | None,
) -> "tuple[Plan, Path, Bucket | None]":
    """The plan in its folder, and the bucket that its evidence goes to; what can be refused was refused before."""
    from aurora_ops.fleet import plan as plans

    if not page:
        raise click.UsageError("Missing argument 'PAGE': `aurora-ops list` has them all.")
    with _discovered(file, everything, filters) as (described, found):
        made = plans.make(described, found, page, given(pairs), budget_usd, each, figures_only=figures_only)
        place = _bucket(described, output_dir)
        return (*plans.begin(made, None if place else output_dir), place)


def _bucket(described: "Fleet", output_dir: Path | None) -> "Bucket | None":
    """The bucket in which evidence is to be kept, by the first account of the fleet."""
    from aurora_ops.aws.kept import bucket
    from aurora_ops.fleet import reaching

    if not bucket.is_meant(output_dir):
        return None
    first = described.accounts[0]
    place = bucket.of(output_dir, reaching.session(first, described.regions_of(first)[0]))
    place.check()
    return place


@click.group(cls=Commands, short_help="Many clusters in many accounts.")
def fleet() -> None:
    """Many clusters in many accounts and regions: which there are, and one page over all of them."""


@fleet.command("list", short_help="Which clusters the fleet has.")
@_described
@told
def list_(file: Path | None, everything: bool, filters: tuple[str, ...]) -> None:
    """Which clusters the fleet has, one line each; accounts and regions that refused are named with the reason."""
    from aurora_ops.fleet import listing

    with _discovered(file, everything, filters) as (_, found):
        for line in listing.lines(found):
            click.echo(line)
    sys.exit(0)


@fleet.command("run", cls=Run, short_help="Run a page over every cluster of the fleet.")
@_asked
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=os.cpu_count() or 1,
    show_default="the processors",
    metavar="N",
    help="How many clusters at a time.",
)
@click.option(
    "--scheduler",
    default="",
    metavar="ADDRESS",
    help="Of a Dask scheduler, such as tcp://10.0.0.5:8786, whose workers see the folder; by default workers of this machine.",
)
@click.option(
    "--deadline",
    type=POSITIVE,
    metavar="SECONDS",
    help="When all of it has to have ended: runs at work clean up, no other begins.",
)
@click.option(
    "--resume",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Go on with an earlier run: clusters that have a verdict keep it.",
)
@told
def run(
    page: str,
    pairs: tuple[str, ...],
    file: Path | None,
    everything: bool,
    filters: tuple[str, ...],
    jobs: int,
    scheduler: str,
    deadline: float | None,
    each: float,
    budget_usd: float | None,
    figures_only: bool,
    resume: Path | None,
    output_dir: Path | None,
) -> None:
    """Run PAGE once for each cluster of the fleet, on Dask, and write one page about all of them.

    Exit code: that of the gravest run (1 a finding, 2 refused, 3 no verdict, also where an account refused), 128 + n ended by signal n.
    """
    from aurora_ops.fleet import driver

    if resume is not None:
        if page or pairs or filters or everything or file or figures_only:
            raise click.UsageError(
                "--resume goes on with what was asked for: leave out the page, -p, --filter, --fleet, --all and --figures-only."
            )
        plan, folder, place = driver.resume(resume), resume.expanduser().absolute(), None
    else:
        plan, folder, place = _planned(
            page, pairs, file, everything, filters, each, budget_usd, figures_only, output_dir
        )
    code = driver.run(plan, folder, scheduler=scheduler, jobs=jobs, deadline_seconds=deadline, say=click.echo)
    click.echo(f"evidence: {f'{place.send(folder)} and {folder}' if place else folder}")
    if driver.left_open(plan, folder):
        click.echo(f"to go on: aurora-ops fleet run --resume {folder}")
    sys.exit(code)


@fleet.command(cls=Run, short_help="Plan a page over the fleet, for a scheduler of your own.")
@_asked
@told
def plan(**asked: Any) -> None:
    """Check PAGE over the fleet as `fleet run` does, and start nothing: the plan stands in a folder, and the last line has its clusters as JSON.

    Each is then run by `fleet one FOLDER KEY`, by whatever scheduler there is, and `fleet report FOLDER` writes the page about all of them.
    """
    import json

    from aurora_ops.fleet import driver

    made, folder, place = _planned(**asked)
    if place:
        click.echo(f"to keep the evidence there when it is reported: aurora-ops send {folder} {place.url}", err=True)
    for line in made.not_looked_at:
        click.echo(line, err=True)
    click.echo(json.dumps(driver.steps(made, folder), ensure_ascii=False))


_PLANNED = click.argument("folder", type=click.Path(file_okay=False, path_type=Path))


@fleet.command(short_help="Run one cluster of a plan.")
@_PLANNED
@click.argument("key")
@told
def one(folder: Path, key: str) -> None:
    """Run the cluster KEY of the plan in FOLDER, or find it run: a runbook is started once.

    Exit code: 0 passed, 1 a finding, 2 refused, 3 no verdict, 128 + n ended by signal n, after its clean-up.
    """
    from aurora_ops.fleet import driver

    found, code = driver.run_one(folder, key)
    click.echo(found.told)
    sys.exit(code)


@fleet.command("report", short_help="Write the page about a plan's clusters.")
@_PLANNED
@told
def report_(folder: Path) -> None:
    """Write the page, CSV and Parquet about the clusters of the plan in FOLDER; runs that are still at work are waited for.

    Exit code: that of the gravest run, 3 also where an account refused or a cluster was not run.
    """
    from aurora_ops.fleet import driver

    line, code = driver.conclude(folder)
    click.echo(line)
    click.echo(f"evidence: {folder}")
    sys.exit(code)


@fleet.command(short_help="Which versions run, and how long they are supported.")
@_described
@OUTPUT_DIR
@told
def versions(file: Path | None, everything: bool, filters: tuple[str, ...], output_dir: Path | None) -> None:
    """Which engine versions the fleet runs, until when they have standard support, and to what they can be upgraded, on one page."""
    from aurora_ops.fleet.pages import versions

    with _discovered(file, everything, filters) as (_, found):
        folder, line = versions.write(found, output_dir)
    click.echo(line)
    click.echo(f"evidence: {folder}")
    sys.exit(3 if found.refused else 0)


@fleet.command(short_help="Which ACU range fits each of many histories.")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--region", default="ap-northeast-1", show_default=True, help="Whose prices.")
@click.option("--throttled-minutes", type=click.FloatRange(min=0), default=60.0, show_default=True, help="Tolerance a month.")  # fmt: skip
@click.option("--cold-minutes", type=click.FloatRange(min=0), default=600.0, show_default=True, help="Tolerance a month.")  # fmt: skip
@click.option("--jobs", type=click.IntRange(min=1), default=os.cpu_count() or 1, show_default="the processors", metavar="N", help="How many at a time.")  # fmt: skip
@click.option("--scheduler", default="", metavar="ADDRESS", help="Of a Dask scheduler whose workers see the folder.")
@told
def ranges(folder: Path, region: str, throttled_minutes: float, cold_minutes: float, jobs: int, scheduler: str) -> None:
    """Which ACU range fits each history in FOLDER: a Parquet file a cluster, a row a minute, a column capacity_acu. One CSV line each."""
    import csv
    from dataclasses import asdict, fields

    from aurora_ops.fleet import engine
    from aurora_ops.fleet.figures import ranges
    from aurora_ops.runner import refusals

    try:
        refusals.region(region)
    except ValueError as error:
        raise click.UsageError(f"--region {region}: {error}") from None
    paths = ranges.files(folder.absolute())
    with engine.cluster(scheduler, min(jobs, len(paths))) as client:
        found = ranges.fits(paths, region, throttled_minutes, cold_minutes, client)
    writer = csv.DictWriter(sys.stdout, [one.name for one in fields(ranges.Fit)])
    writer.writeheader()
    writer.writerows(map(asdict, found))
