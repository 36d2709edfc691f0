"""Responding to an alarm: what it says, what its cause is, and which command mends it. Reads only; nothing is ended or changed here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from botocore.exceptions import ClientError

from aurora_ops.aws import insights
from aurora_ops.aws.access import Access, open_access
from aurora_ops.aws.api import ThrottledError, code_of
from aurora_ops.aws.cluster import Cluster, Instance
from aurora_ops.aws.session import Session
from aurora_ops.core.display import Chart, Check, Line, Pictured, Report, Table
from aurora_ops.core.errors import InputError
from aurora_ops.diagnose.alarms import alarm as alarms
from aurora_ops.diagnose.alarms import kinds
from aurora_ops.diagnose.alarms import ways as ways_out
from aurora_ops.diagnose.alarms.alarm import Alarm
from aurora_ops.diagnose.alarms.kinds import Kind
from aurora_ops.diagnose.alarms.ways import Way
from aurora_ops.diagnose.causes import looks as causes
from aurora_ops.diagnose.causes import together
from aurora_ops.diagnose.causes.cause import Limits
from aurora_ops.diagnose.causes.looks import At, Looks
from aurora_ops.diagnose.causes.together import Told
from aurora_ops.load import views as load_views
from aurora_ops.load.findings import findings
from aurora_ops.load.model import Load

NAME = "respond-to-alarm"
_LEAST, _MOST = timedelta(minutes=2), timedelta(hours=1)  # of load before now
_BEHIND = timedelta(seconds=2)  # the second that is just passing has no sample yet


class WrongPageError(InputError):
    """The alarm is about something else than the page, or about another cluster than was named."""


@dataclass(frozen=True)
class Answer:
    """An alarm, its instance, and what was found there at this moment."""

    access: Access
    page: str
    kind: Kind
    alarm: Alarm | None
    instance: Instance
    told: tuple[Told, ...] = field(repr=False)
    looks: Looks = field(repr=False)
    ways: tuple[Way, ...] = field(repr=False)  # what mends it: the causes' commands first
    load: Load | None = field(default=None, repr=False)
    not_asked: str = ""  # why the load is not known

    @property
    def rings(self) -> bool:
        """Whether the alarm is in ALARM."""
        return _rings(self.alarm)

    @property
    def cause(self) -> Told | None:
        """The first that may be the cause of an alarm of this kind."""
        return next((one for one in self.told if kinds.explains(self.kind, one)), None)

    def __repr__(self) -> str:
        watched = self.alarm.condition if self.alarm else "no alarm of this kind watches it"
        role = "writer" if self.instance.is_writer else "reader"
        return f"{self.instance.identifier}, {role} of {self.access.identifier}, in {self.access.session.region}: {watched}"

    def bottom_line(self) -> Line:
        """The alarm's state, its cause, and the command."""
        mends = f" To mend it: {self.command}" if self.command and self.rings else ""
        return Line(f"{self._state()} {self._found_out()}.{mends}")

    def _state(self) -> str:
        if self.alarm is None:
            about = f" {self.kind.name}" if self.kind.name else ""
            return f"No{about} alarm watches {self.instance.identifier}; it was looked at all the same."
        one = f"{self.alarm.name} (of {self.alarm.by})" if self.alarm.by else self.alarm.name
        if self.rings:
            since = f" since {self.alarm.since:%Y-%m-%d %H:%M} UTC" if self.alarm.since else ""
            return f"{one} is in ALARM{since}."
        if self.alarm.state == alarms.OK:
            return f"{one} is OK."
        return f"{one} has no data to judge by."

    def _found_out(self) -> str:
        if self.kind.name == kinds.RESTORE_PROOF:
            return "No drill has proved a backup for too long"
        if self.cause is None:
            other = f"; found besides: {self.told[0].title}" if self.told else ""
            return f"Nothing that would explain it is seen at this moment{other}"
        return f"{self.cause.title}" + ("" if self.rings else f" ({self.cause.when})")

    @property
    def command(self) -> str:
        """What mends the cause; empty where no command does."""
        if self.kind.name == kinds.RESTORE_PROOF:
            return self.ways[0].command
        return next((way.command for way in self.ways if way.mends is not None and way.mends is self.cause), "")

    def meaning(self) -> Table:
        """What the alarm says, since when, and how often it did within two weeks."""
        rows: list[tuple[str, str]] = [("meaning", self.kind.meaning), ("impact", self.kind.impact)]
        if self.alarm is not None:
            since = f", since {self.alarm.since:%Y-%m-%d %H:%M:%S} UTC" if self.alarm.since else ""
            past = alarms.history(self.access.session, self.alarm)
            rang = sum(said.endswith("to ALARM") for _, said in past)
            rows += [
                ("watches", f"{self.alarm.condition}, looking back over {self.alarm.seconds // 60} minutes"),
                ("state", f"{self.alarm.state}{since}"),
                ("reason", self.alarm.reason or "none given"),
                ("within two weeks", f"{rang} times in ALARM" + (f"; last change {past[0][0]}: {past[0][1]}" if past else "")),
            ]  # fmt: skip
        return Table(f"{self.instance.identifier}: {self.kind.meaning}", ("", "said"), rows)

    def over_time(self) -> Chart | Line:
        """The instance's active sessions by wait class, before now."""
        if self.load is None or not self.load.has_data:
            return Line(f"no load to draw: {self.not_asked or 'it was not sampled'}")
        return load_views.over_time((self.load,))

    def found(self) -> Pictured:
        """Every cause that was found, the likeliest first, under the queues and the connections of this moment."""
        has_data = self.load is not None and self.load.has_data
        table = together.what_to_do(self.told, self.looks, has_data)
        return Pictured(table.summary, table.columns, table.rows, table.note, self.looks.pictures)

    def looked(self) -> Table:
        """What was looked at, and what was not."""
        return self.looks.table()

    def mitigation(self) -> Table | Line:
        """Each way out with its command, what it costs a month, and what Terraform must be told."""
        if not self.ways:
            return Line("there is nothing to mend")
        rows = [(number, one.what, one.command, one.cost, one.terraform) for number, one in enumerate(self.ways, 1)]
        note = "None was run. A page shows its plan first, and on a live target changes something only when `confirm` is that plan's id; SQL is for you to decide."
        summary = f"{len(rows)} ways out" if len(rows) != 1 else "1 way out"
        return Table(summary, ("", "what", "command", "costs", "Terraform must be told"), rows, note)

    def report(self) -> Report:
        """Whether the alarm is OK again, and whether its cause is known."""
        checks = [self._is_ok()]
        if self.rings and self.kind.name != kinds.RESTORE_PROOF:
            cause = self.cause.title if self.cause else "nothing that explains it is seen at this moment"
            checks.append(Check("its cause is known", "PASS" if self.cause else "SKIP", cause))
        if self.kind.name != kinds.RESTORE_PROOF and not self.looks.complete:
            checks.append(Check("the database was looked into", "SKIP", self.looks.missing))
        if self.not_asked:
            checks.append(Check("the load was asked for", "SKIP", self.not_asked))
        return Report(self.page, tuple(checks), self._found_out() if self.rings else "")

    def _is_ok(self) -> Check:
        name = "the alarm is OK"
        if self.alarm is None:
            return Check(name, "SKIP", f"no alarm of this kind watches {self.access.identifier}")
        if self.alarm.state not in (alarms.ALARM, alarms.OK):
            return Check(name, "SKIP", f"it is {self.alarm.state}")
        return Check.of(name, not self.rings, self._state().rstrip(".") if self.rings else self.alarm.condition)

    def result(self) -> dict[str, object]:
        """What `result.json` keeps."""
        return {
            "alarm": self.alarm.name if self.alarm else None,
            "state": self.alarm.state if self.alarm else None,
            "instance": self.instance.identifier,
            "causes": [one.title for one in self.told],
            "to_mend_it": (self.command if self.rings else "") or None,
        }


def respond(
    opener: Callable[[str, str], Session], target: str, region: str, *, page: str = NAME, alarm: str = "", environment: str = "dev", cluster: str = "",
    database: str = "", login: str = "", limits: Limits | None = None,
) -> Answer:  # fmt: skip
    """Read an alarm and look for its cause.

    Parameters
    ----------
    page
        The page that asks: one about a kind of alarm, or `respond-to-alarm`, which is about all.
    alarm
        Its name, also of a composite alarm; empty: the one of the cluster that rings the longest, else any of this kind.
    environment, cluster, database, login
        As the pages take them; with `alarm`, the cluster is the alarm's.

    Raises
    ------
    NoSuchAlarmError, ForeignAlarmError
        See `alarm.find`.
    WrongPageError
        The alarm is about something else, or of another cluster than the one that is named.
    UnknownClusterError, UnsuitableClusterError
        See `which_cluster.resolve`.
    """
    session, wanted = opener(target, region), kinds.of_page(page)
    one = alarms.find(session, alarm) if alarm else None
    if one is not None and wanted not in (None, one.kind):
        own = one.kind.page or NAME
        raise WrongPageError(
            f"alarm {one.name} is about {one.metric}, not about what {page} is for, so nothing was looked at. Its page: "
            f"aurora-ops run {own} -p alarm {one.name}"
        )
    access = open_access(session, environment, cluster or (one.cluster or one.instance if one else ""), database, login)
    described = access.described()
    if (
        one is not None
        and one.cluster != described.identifier
        and one.instance not in [each.identifier for each in described.instances]
    ):
        raise WrongPageError(
            f"alarm {one.name} watches {one.cluster or one.instance}, which is not of cluster {described.identifier}, so nothing was looked at. "
            "Leave `cluster` empty: the alarm names it."
        )
    if one is None:
        one = next(iter(alarms.of_cluster(session, described, wanted)), None)
    kind = wanted or (one.kind if one else kinds.OTHER)
    instance = _instance(described, one, kind)
    if kind.name == kinds.RESTORE_PROOF:
        return Answer(
            access, page, kind, one, instance, (), Looks(), ways_out.ways(access, kind, instance, (), in_need=False)
        )
    load, not_asked = _load(access, described, instance, one)
    at = At(
        "" if instance.is_writer else instance.endpoint, not instance.is_writer, kind.name or "alarm", kind.question, kind.finders
    )  # fmt: skip
    looked = causes.look(access, load, limits, at)
    told = kinds.ordered(kind, together.ranked(findings(load) if load else (), looked))
    in_need = _rings(one) or any(kinds.explains(kind, each) for each in told)
    ways = ways_out.ways(access, kind, instance, told, in_need=in_need)
    return Answer(access, page, kind, one, instance, told, looked, ways, load, not_asked)


def _rings(alarm: Alarm | None) -> bool:
    return alarm is not None and alarm.state == alarms.ALARM


def _instance(described: Cluster, alarm: Alarm | None, kind: Kind) -> Instance:
    """The instance that the alarm is about; of a cluster's alarm the writer, or where the metric is a reader's, a reader."""
    named = [one for one in described.instances if alarm is not None and one.identifier == alarm.instance]
    of_reader = (alarm is not None and alarm.role == "READER") or kind.of_reader
    readers: Sequence[Instance] = described.readers if of_reader else ()
    return (named or list(readers) or [described.writer])[0]


def _load(access: Access, described: Cluster, instance: Instance, alarm: Alarm | None) -> tuple[Load | None, str]:
    """The load of the instance since before the alarm, from two minutes to an hour; or why it is not known."""
    if not instance.performance_insights_enabled:
        return None, f"Performance Insights is off on {instance.identifier}"
    end = datetime.now(UTC).replace(microsecond=0) - _BEHIND
    began = alarm.since - timedelta(seconds=alarm.seconds) if _rings(alarm) and alarm and alarm.since else end
    start = max(end - _MOST, min(began, end - _LEAST))
    try:
        loads = insights.record(access.session, described, start, end).loads()
    except (insights.InsightsError, ThrottledError) as error:
        return None, str(error)
    except ClientError as error:
        return None, f"Performance Insights refused ({code_of(error)})"
    return next((one for one in loads if one.instance == instance.identifier), None), ""
