"""The ways out of an alarm: exact commands, with what each costs a month and the Terraform variable that must follow. None is run here."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import psycopg

from aurora_ops.aws.access import Access
from aurora_ops.aws.cluster import Cluster, Instance
from aurora_ops.aws.session import DEFAULT_REGION
from aurora_ops.billing import price_book
from aurora_ops.billing.price_book import UnknownPriceError
from aurora_ops.billing.usage import HOURS_PER_MONTH
from aurora_ops.core.display import usd
from aurora_ops.core.errors import AuroraOpsError
from aurora_ops.diagnose import blocking, ending
from aurora_ops.diagnose.alarms.kinds import RESTORE_PROOF, Kind
from aurora_ops.diagnose.causes.together import Told

LARGEST_ACU = 256


@dataclass(frozen=True)
class Way:
    """One way out. `command` is a command line, or SQL where there is no page for it."""

    what: str
    command: str
    cost: str = "nothing"
    terraform: str = "nothing"
    mends: Told | None = None  # the cause that it ends


def ways(access: Access, kind: Kind, instance: Instance, told: Sequence[Told], *, in_need: bool) -> tuple[Way, ...]:
    """What mends the causes, in their order; then, `in_need`, more capacity where that is a way out."""
    if kind.name == RESTORE_PROOF:
        return (Way("find out why no drill proved a backup", command(access, kind.page, {})),)
    return (*_of_causes(access, instance, told), *(_of_capacity(access, instance) if kind.scales and in_need else ()))


def _of_causes(access: Access, instance: Instance, told: Sequence[Told]) -> Iterator[Way]:
    for one in told:
        if one.runs:
            yield Way(one.title, of_sessions(access, instance, one.runs), mends=one)
        elif one.command:
            yield Way(one.title, one.command, mends=one)


def of_sessions(access: Access, instance: Instance, runs: str) -> str:
    """The command line that ends sessions, with the plan's id where a live target asks for it."""
    page, *given = shlex.split(runs)
    values = dict(zip(given[1::3], given[2::3], strict=True))  # -p NAME VALUE
    if page == ending.NAME and not instance.is_writer:
        values = {"instance": instance.identifier} | values
    asked = {"database": access.database, "login": access.login}
    values = {name: value for name, value in asked.items() if value} | values
    if not access.session.is_sandbox and (confirm := _plan_id(access, page, values)):
        values["confirm"] = confirm
    return command(access, page, values)


def _plan_id(access: Access, page: str, values: dict[str, str]) -> str:
    """Of the plan as it is now: whoever runs the command confirms what this page shows."""
    own = {name: value for name, value in values.items() if name not in ("database", "login")}
    pid, how = int(own.get("pid", 0)), own.get("how", "terminate")
    try:
        if page == blocking.NAME:
            return blocking.end_blocking_session(access, pid=pid, how=how).plan().id
        return ending.end_sessions(
            access, instance=own.get("instance", ""), pid=pid, application=own.get("application", ""), idle_seconds=float(own.get("idle_seconds", 60)), how=how
        ).plan().id  # fmt: skip
    except (AuroraOpsError, psycopg.Error):
        return ""


def command(access: Access, page: str, values: dict[str, str]) -> str:
    """`aurora-ops run` of a page on this cluster, as it can be pasted into a shell."""
    session = access.session
    named = {"cluster": access.identifier} | ({"region": session.region} if session.region != DEFAULT_REGION else {})
    words = ["aurora-ops", "run", page]
    words += [word for name, value in (named | values).items() for word in ("-p", name, value)]
    return shlex.join(words + ([] if session.is_sandbox else ["--target", session.target]))


def _of_capacity(access: Access, instance: Instance) -> Iterator[Way]:
    found = access.described()
    if not found.ceiling_acu:
        return
    higher = min(LARGEST_ACU, found.ceiling_acu * 2)
    if higher > found.ceiling_acu:
        values = {"min_acu": f"{found.floor_acu:g}", "max_acu": f"{higher:g}"}
        more = higher - found.ceiling_acu
        yield Way(
            f"raise the ceiling from {found.ceiling_acu:g} to {higher:g} ACU, if the causes above are none or cannot wait",
            command(access, "set-acu-range", values),
            _cost(access, found, more * len(found.instances), "nothing while it is not used, at most"),
            _variable(access, "max_capacity", f"{higher:g}"),
        )
    if instance.is_writer:
        readers = len(found.readers) + 1
        yield Way(
            f"add a reader (there {'is' if readers == 2 else 'are'} {readers - 1 or 'none'} now), if what is heavy only reads and its clients use the reader endpoint",
            command(access, "add-reader", {}),
            _cost(access, found, max(found.floor_acu, 0.5 if not found.floor_acu else 0), "at its floor"),
            _variable(access, "reader_count", str(readers)),
        )


def _cost(access: Access, found: Cluster, acu: float, when: str) -> str:
    try:
        price = price_book.book(access.session.region).acu_hour(found.io_optimized)
    except UnknownPriceError:
        return (
            f"{when} {acu:g} ACU for {HOURS_PER_MONTH:.0f} hours; their price in {access.session.region} is not known"
        )
    return f"{when} {usd(acu * HOURS_PER_MONTH * price.usd)} a month"


def _variable(access: Access, name: str, value: str) -> str:
    if access.environment:
        return f'"{name}": {value} in terraform/environments/{access.environment}/terraform.tfvars.json'
    return f"{name} = {value} in the module that has the cluster"
