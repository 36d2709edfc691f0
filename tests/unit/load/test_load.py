"""Load is told apart by wait, gaps stay gaps, and no advice is given without a figure."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from aurora_ops.aws import insights, insights_requests, metrics
from aurora_ops.core.errors import InputError
from aurora_ops.diagnose import database_load as diagnose
from aurora_ops.load import bundle
from aurora_ops.load import tables as load_tables
from aurora_ops.load import views as load_views
from aurora_ops.load.bundle import Bundle, Recorded
from aurora_ops.load.findings import findings, when
from aurora_ops.load.model import CLASSES, Load, Statement, verdict, wait_class


def make(waits, *, total=None, vcpu=2.0, acu=None, ceiling=16.0, statements=(), period=1):
    """A load whose points begin at 03:00:01 UTC; `waits` are series by wait event."""
    length = len(next(iter(waits.values()))) if waits else len(total)
    index = pd.date_range("2026-11-23T03:00:01Z", periods=length, freq=f"{period}s")
    frame = pd.DataFrame(waits, index=index, dtype=float)
    total = frame.sum(axis=1, min_count=1) if total is None else pd.Series(total, index=index, dtype=float)
    acu = pd.Series(8.0 if acu is None else acu, index=index, dtype=float)
    return Load(
        "w", "writer", period, total, frame, pd.Series(vcpu, index=index), acu, ceiling, True, tuple(statements)
    )


def test_a_wait_is_in_one_class_and_what_is_unknown_is_other():
    """
    Commit is what COMMIT waits for on Aurora and on a plain PostgreSQL alike; a type that we have no colour for is Other.
    """
    names = (
        "CPU",
        "IO:XactSync",
        "IO:WALSync",
        "LWLock:WALWrite",
        "IO:DataFileRead",
        "Lock:tuple",
        "BufferPin:BufferPin",
    )

    assert ["CPU", "Commit", "Commit", "Commit", "IO", "Lock", "Other"] == [wait_class(name) for name in names]


def test_other_is_what_the_listed_waits_leave_of_the_total():
    """
    The API lists a limited number of waits. The rest is shown as Other, and the classes add up to the total.
    """
    load = make({"CPU": [1, 1], "Lock:tuple": [0, 2]}, total=[1.5, 3])

    assert [0.5, 0.0] == list(load.classes["Other"])
    assert [1.5, 3.0] == list(load.classes.sum(axis=1))


def test_no_data_is_not_idle():
    """
    A second that nobody looked at has no value and counts nowhere; an idle second counts as 0.0.
    """
    load = make({"CPU": [np.nan, 0, 1, 1]}, total=[np.nan, 0, 1, 1])

    assert (0.75, 2 / 3) == (load.coverage, pytest.approx(load.average))
    assert load.classes.iloc[0].isna().all()


def test_the_verdict_tells_idle_from_no_data():
    """
    Both sentences name the instance; only one of them says that nothing happened.
    """
    idle, unseen = make({"CPU": [0.0] * 60}), make({"CPU": [np.nan] * 60}, total=[np.nan] * 60)

    assert "w was idle over 1 minute: it was sampled, and no session was active." == verdict(idle)
    assert "w has no data in this window: it was not sampled, which says nothing about its load." == verdict(unseen)
    assert () == findings(idle) == findings(unseen)


def test_the_verdict_says_how_much_of_the_window_was_sampled():
    """
    Half a window of data is not passed off as the whole.
    """
    assert "(50% of it sampled)" in verdict(make({"CPU": [np.nan, 1.0]}, total=[np.nan, 1.0]))


def test_a_bucket_carries_its_end_and_a_gap_stays_a_gap():
    """
    Points stand at the end of their second, so 03:00:01 to 03:00:05 are the bucket that ends at 03:00:05.
    """
    values = [1.0] * 5 + [np.nan] * 5 + [0, 0, 0, 0, 5]
    buckets = make({"CPU": values}, total=values).every(5)

    assert ["03:00:05", "03:00:10", "03:00:15"] == [f"{at:%H:%M:%S}" for at in buckets.index]
    assert [1.0, None, 1.0] == [None if np.isnan(v) else v for v in buckets["total"]]
    assert [1.0, None, 5.0] == [None if np.isnan(v) else v for v in buckets["peak"]]


def test_saturation_is_sessions_on_cpu_over_vcpus():
    """
    Waiting sessions need no processor. Seconds whose vCPUs are unknown count on neither side.
    """
    load = make({"CPU": [4.0, 4.0], "Lock:tuple": [9.0, 9.0]}, vcpu=[2.0, np.nan])

    assert 2.0 == load.saturation


def test_the_ceiling_in_vcpus_follows_what_is_reported():
    """
    Where vCPUs move with capacity, the ceiling is in proportion; where they are reported as fixed, that is the ceiling.
    """
    moving = make({"CPU": [1.0, 1.0]}, vcpu=[1.0, 2.0], acu=[4.0, 8.0])
    fixed = make({"CPU": [1.0, 1.0]}, vcpu=4.0, acu=[4.0, 8.0])

    assert (4.0, 4.0) == (moving.ceiling_vcpu, fixed.ceiling_vcpu)
    assert make({"CPU": [1.0]}, ceiling=None).ceiling_vcpu is None


def test_advice_needs_evidence():
    """
    A lock wait of one per cent brings no advice; one of half the load names the statement that waits.
    """
    update = Statement("A", "UPDATE tenants SET a = $1", 5.0, {"Lock:transactionid": 4.0})
    quiet = make({"CPU": [0.99], "Lock:tuple": [0.01]}, vcpu=4.0, statements=[update])
    storm = make({"CPU": [0.2], "Lock:transactionid": [4.0]}, vcpu=4.0, statements=[update])

    assert [] == [f.title for f in findings(quiet)]
    assert ["Sessions wait for each other's rows"] == [f.title for f in findings(storm)]
    assert "UPDATE tenants" in findings(storm)[0].action
    assert "4.00 AAS, 95% of the load" in findings(storm)[0].evidence


@pytest.mark.parametrize(
    ("event", "title"),
    [
        ("Lock:transactionid", "Sessions wait for each other's rows"), ("Lock:relation", "Sessions wait for a lock on a whole table"),
        ("Lock:advisory", "Sessions wait for an advisory lock"), ("Lock:extend", "Sessions wait to make a table longer"),
        ("IO:BufFileWrite", "Sorts and hashes spill to temporary files"), ("IO:DataFileExtend", "Rows are written to data files"),
        ("IO:DataFileRead", "Sessions wait for data files"), ("IO:XactSync", "Commits wait for storage"), ("LWLock:WALWrite", "Commits wait for storage"),
        ("LWLock:lock_manager", "Sessions contend for the table of locks"), ("LWLock:LockManager", "Sessions contend for the table of locks"),
        ("LWLock:buffer_content", "Sessions contend for the same pages"), ("Client:ClientRead", "The server waits for what its clients send"),
        ("Client:ClientWrite", "Clients read more slowly than the server answers"), ("Timeout:PgSleep", "Sessions sleep inside the server"),
        ("IPC:MessageQueueReceive", "Parallel workers wait for each other"),
    ],
)  # fmt: skip
def test_advice_is_by_event_not_by_class(event, title):
    """
    A spill, an import and a missing index all wait for IO, and want three different things.
    """
    assert [title] == [f.title for f in findings(make({event: [2.0] * 60}, vcpu=4.0))]


def test_what_queues_for_a_processor_is_ranked_by_what_is_beyond_the_processors():
    """
    Nine sessions on eight vCPUs are one too many, and less than the three that wait for a row.
    """
    load = make({"CPU": [9.0] * 60, "Lock:tuple": [3.0] * 60}, vcpu=8.0)

    assert [("Sessions wait for each other's rows", 3.0), ("Sessions queue for a processor", 1.0)] == [
        (f.title, f.sessions) for f in findings(load)
    ]


def test_a_finding_says_since_when_and_whether_it_is_over():
    """
    A storm that ended a minute ago is not told in the present tense.
    """
    storm = make({"Lock:tuple": [0.0] * 20 + [4.0] * 20 + [0.0] * 60}).total
    still = make({"Lock:tuple": [0.0] * 80 + [4.0] * 20}).total

    assert "since 03:00:20, over at 03:00:40 UTC" == when(storm)
    assert "since 03:01:20 UTC, and still at the end" == when(still)


def test_connections_near_their_limit_are_told_first_even_of_an_idle_server():
    """
    362 of 400 and no load: the service is about to refuse, which no wait shows.
    """
    at = pd.DatetimeIndex([pd.Timestamp("2026-11-23T03:01:00Z")])
    full = replace(make({"CPU": [0.0] * 60}), connections=pd.Series([362.0], index=at), connections_limit=400.0)
    found = findings(full)

    assert [("The connections are nearly used up", True)] == [(f.title, f.urgent) for f in found]
    assert "362 of max_connections 400 at once, 90%" in found[0].evidence
    assert () == findings(replace(full, connections_limit=4000.0))


def test_queueing_at_the_ceiling_asks_for_another_ceiling_than_queueing_below_it():
    """
    Raising a ceiling that was never reached would change nothing.
    """
    at_ceiling = make({"CPU": [9.0] * 10}, acu=16.0)
    below = make({"CPU": [9.0] * 10}, acu=2.0)

    assert "raise the ceiling" in findings(at_ceiling)[0].action
    assert "higher floor" in findings(below)[0].action


def test_a_statement_is_divided_without_loss():
    """
    Partitions may add up to less than the statement's load: the rest is Other.
    """
    statement = Statement("A", "select 1", 1.0, {"CPU": 0.25, "IO:XactSync": 0.5})

    assert {"CPU": 0.25, "Commit": 0.5, "Other": 0.25} == {k: v for k, v in statement.by_class.items() if v}


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("INSERT INTO payments (id) VALUES ($1)", "INSERT INTO payments"),
        ("select * from public.users where id = $1", "SELECT from public.users"),
        ("/* app:42 */ UPDATE t SET a = $1", "UPDATE t"),
        ("autovacuum: ANALYZE public.payments", "AUTOVACUUM"),
        ("commit;", "COMMIT"),
        ("", "UNKNOWN STATEMENT"),
    ],
)
def test_a_statement_has_a_short_title(text, title):
    """
    Verb and first table; comments before it do not count.
    """
    assert title.lower() == Statement("", text, 0, {}).title.lower()


def exchange(points, dimensions=None):
    key = {"Metric": "db.load.avg"} | ({"Dimensions": dimensions} if dimensions else {})
    metric = {"Key": key, "DataPoints": points}
    return {"operation": "GetResourceMetrics", "request": {}, "answer": {"MetricList": [metric]}}


def test_a_point_without_value_is_no_data_and_a_missing_point_too(tmp_path):
    """
    Both become NaN, on the grid of the window; a bundle read back from its file is the same.
    """
    points = [{"Timestamp": 1, "Value": 1.0}, {"Timestamp": 2}, {"Timestamp": 4, "Value": 0.0}]
    one = Bundle("c", "r", 0, 4, 1, 0, "test", [], [Recorded("w", "db-1", "writer", [exchange(points)])])
    load = Bundle.read(one.write(tmp_path / "bundle.json")).loads()[0]

    assert [1.0, None, None, 0.0] == [None if np.isnan(v) else v for v in load.total]
    assert (3, 4) == (one.points("w"), one.expected_points)


def test_a_statement_has_its_course_and_the_total_keeps_its_own_points():
    """A statement without load in a period has none there, and where nothing was sampled nothing is drawn; the finer total is as it was."""
    total = [{"Timestamp": at, "Value": 1.0} for at in range(1, 241)]
    coarse = [{"Timestamp": at} | ({"Value": 4.0} if at != 120 else {}) for at in (60, 120, 180, 240)]
    named = {"Key": {"Metric": "db.load.avg", "Dimensions": {"db.sql_tokenized.id": "A"}}, "DataPoints": [{"Timestamp": 60, "Value": 2.0}, {"Timestamp": 120}, {"Timestamp": 180}, {"Timestamp": 240, "Value": 4.0}]}  # fmt: skip
    by_statement = exchange(coarse) | {"request": {"PeriodInSeconds": 60}}
    by_statement["answer"]["MetricList"].append(named)
    key = {"Dimensions": {"db.sql_tokenized.id": "A", "db.sql_tokenized.statement": "SELECT 1"}, "Total": 1.0}
    keys = {"operation": "DescribeDimensionKeys", "request": {"GroupBy": {"Group": "db.sql_tokenized"}, "PartitionBy": {"Group": "db.wait_event"}}, "answer": {"Keys": [key]}}  # fmt: skip
    exchanges = [exchange(total) | {"request": {"PeriodInSeconds": 1}}, by_statement, keys]
    load = Bundle("c", "r", 0, 240, 1, 0, "test", [], [Recorded("w", "db-1", "writer", exchanges)]).loads()[0]

    assert {1.0} == set(load.total)
    assert "(2.0, nan, 0.0, 4.0)" == repr(load.statements[0].course)
    table = load_tables.statements(load)
    assert "▅ ▁█" == table.rows[0][table.columns.index("over time")]


def test_a_course_may_be_cut_and_come_on_a_page_without_the_total():
    """The service cuts series without a word, and pages have the total once: the load is shown, and the report names what is missing."""
    whole = exchange([{"Timestamp": at, "Value": 1.0} for at in (60, 120, 180)]) | {"request": {"PeriodInSeconds": 60}}
    cut = exchange([{"Timestamp": 60, "Value": 2.0}, {"Timestamp": 120}], {"db.sql_tokenized.id": "A"}) | {
        "request": {"PeriodInSeconds": 60}
    }
    key = {"Dimensions": {"db.sql_tokenized.id": "A"}, "Total": 1.0}
    keys = {"operation": "DescribeDimensionKeys", "request": {"GroupBy": {"Group": "db.sql_tokenized"}, "PartitionBy": {"Group": "db.wait_event"}}, "answer": {"Keys": [key]}}  # fmt: skip
    found = Bundle("c", "r", 0, 180, 60, 0, "test", [], [Recorded("w", "db-1", "writer", [whole, cut, keys])])

    assert (2.0, 0.0) == found.loads()[0].statements[0].course
    assert ["db.load.avg, A"] == [one.name for one in found.cut("w")]


def test_a_cut_answer_fails_the_report():
    """
    The service may cut at about 350 points without a word: what is drawn from such an answer would be a lie.
    """
    points = [{"Timestamp": at, "Value": 1.0} for at in range(1, 351)]
    one = Bundle("c", "r", 0, 600, 1, 0, "test", [], [Recorded("w", "db-1", "writer", [exchange(points)])])
    report = diagnose.Diagnosis(one, one.loads()).report()

    assert "FAIL" == report.verdict
    assert "350 of 600 points" == report.checks[0].detail


def test_a_cut_part_fails_the_report_though_its_total_is_whole():
    """
    A wait whose points are missing would be drawn as none; it is named.
    """
    whole = [{"Timestamp": at, "Value": 1.0} for at in range(1, 601)]
    answered = exchange(whole)
    answered["answer"]["MetricList"].append(
        {"Key": {"Metric": "db.load.avg", "Dimensions": {"db.wait_event.name": "CPU", "db.wait_event.type": "CPU"}}, "DataPoints": whole[:350]}
    )  # fmt: skip
    one = Bundle("c", "r", 0, 600, 1, 0, "test", [], [Recorded("w", "db-1", "writer", [answered])])
    report = diagnose.Diagnosis(one, one.loads()).report()

    assert "FAIL" == report.verdict
    assert "600 of 600 points; db.load.avg, CPU, CPU: 350 of 600" == report.checks[0].detail


def test_what_the_service_did_not_tell_is_a_skip_with_its_reason():
    """
    Standard mode has no blocking sessions, a server without pg_stat_statements no calls: each has words of its own, and neither fails the run.
    """
    told = [
        insights._STANDARD,
        *insights._lacking(
            [{"request": {"GroupBy": {"Group": "db.sql_tokenized"}}, "answer": {"Keys": [{"Total": 1.0}]}}]
        ),
    ]
    one = Bundle(
        "c",
        "r",
        0,
        1,
        1,
        0,
        "test",
        [],
        [Recorded("w", "db-1", "writer", [exchange([{"Timestamp": 1, "Value": 1.0}])], {}, told)],
    )
    skipped = {
        check.name: check.detail
        for check in diagnose.Diagnosis(one, one.loads()).report().checks
        if check.verdict == "SKIP"
    }

    assert "standard mode" in skipped["w: who blocks whom"]
    assert "pg_stat_statements is not in shared_preload_libraries" in skipped["w: calls and time per call"]


def test_the_writer_and_its_readers_are_apart():
    """
    Each instance has a load of its own; the writer is told first.
    """
    one = Bundle("c", "r", 0, 1, 1, 0, "test", [], [
        Recorded("r1", "db-2", "reader", [exchange([{"Timestamp": 1, "Value": 5.0}])]),
        Recorded("w", "db-1", "writer", [exchange([{"Timestamp": 1, "Value": 1.0}])]),
    ])  # fmt: skip
    found = diagnose.Diagnosis(one, one.loads())

    assert [("w", 1.0), ("r1", 5.0)] == [(load.instance, load.average) for load in found.loads]
    assert "r1" == found.busiest.instance


def test_a_long_window_is_asked_in_chunks_that_are_never_cut():
    """
    No chunk asks for more than 300 points, and together they are the window.
    """
    found = list(insights_requests.chunks(0, 3600, 1))

    assert 12 == len(found)
    assert {300} == {right - left for left, right in found}


def test_a_naive_datetime_is_refused():
    """
    botocore takes it for UTC: in Tokyo that asks about nine hours ahead and finds an idle database.
    """
    naive = datetime(2026, 11, 23, 3)  # noqa: DTZ001
    with pytest.raises(InputError, match="no zone"):
        insights.record(None, None, naive, datetime.now(UTC))
    with pytest.raises(InputError, match="no zone"):
        metrics.read(None, "w", ("DBLoad",), naive, naive)


class Proxy:
    """Answers as botocore parses a proxy's HTML page with status 200."""

    def get_resource_metrics(self, **_):
        return {"ResponseMetadata": {}}

    describe_dimension_keys = get_resource_metrics


def test_a_proxy_page_is_not_an_empty_database():
    """
    An answer without the content that was asked for is refused.
    """
    with pytest.raises(insights.InterceptedAnswerError, match="proxy"):
        insights._ask(None, Proxy(), "GetResourceMetrics", {})


def test_the_recording_shows_no_other_database_than_its_own():
    """
    With a live target, or another environment, the recording would pass for that one's load.
    """
    for given in ({"target": "my-profile"}, {"environment": "prod"}):
        with pytest.raises(InputError, match="source='live'"):
            diagnose.load("recording", **given)
    with pytest.raises(InputError, match="Did you mean 'recording'"):
        diagnose.load("recordng")
    with pytest.raises(InputError, match="holds the load undivided"):
        diagnose.load("recording", only="application=web")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"as_of": "2020-01-01T00:00:00Z"}, "731 days at most"),
        ({"minutes": 732 * 24 * 60}, "731 days at most"),
        ({"as_of": "2099-01-01T00:00:00Z"}, "lies in the future"),
        ({"minutes": 0}, "at least one minute"),
        ({"only": "web"}, "Write KIND=VALUE"),
        ({"only": "application="}, "Write KIND=VALUE"),
        ({"only": "app=web"}, "Did you mean 'application'"),
        ({"only": "statement=9B"}, "at least 4 characters"),
    ],
)
def test_a_window_that_no_service_keeps_is_refused_before_a_call(asked, said):
    """
    What the instances of a cluster keep, 7 to 731 days, is known only after a call; what none can keep, before.
    """
    with pytest.raises(InputError, match=said):
        diagnose.load("live", **asked, opener=lambda *_: pytest.fail("AWS was asked"))


def test_a_window_without_data_is_skipped_and_a_cut_one_is_not():
    """
    All points there and none with a value: there was nothing to judge. Points missing: the answer cannot be trusted.
    """
    for length, verdict_expected in ((60, "SKIP"), (30, "FAIL")):
        points = [{"Timestamp": at} for at in range(1, length + 1)]
        one = Bundle("c", "r", 0, 60, 1, 0, "test", [], [Recorded("w", "db-1", "writer", [exchange(points)])])
        assert verdict_expected == diagnose.Diagnosis(one, one.loads()).report().verdict


def test_the_packaged_recording_can_be_trusted_and_holds_no_literals():
    """
    Only normalised statements were asked for: no quoted text, no address, nothing of `db.sql`.
    """
    found = diagnose.load("recording")
    text = (bundle.RECORDINGS / f"{diagnose.RECORDING}.json").read_text()

    assert "PASS" == found.report().verdict
    assert found.bundle.simulated
    assert '"db.sql"' not in text
    assert "@" not in text
    assert [] == [s.text for load in found.loads for s in load.statements if "'" in s.text]


def test_pictures_are_small_and_carry_their_numbers():
    """
    At most 30 KB each; the caption is what a text comparison sees.
    """
    found = diagnose.load("recording")
    for chart in (found.over_time(), found.by_statement()):
        assert len(chart.png) <= 30_000
    assert f"{found.busiest.average:.2f} AAS" in repr(found.over_time())


def test_instances_are_shown_side_by_side_on_one_scale():
    """
    A reader that works beside an idle writer is seen: a row and a panel each, and the caption has every instance's numbers.
    """
    writer = make({"CPU": [0.0] * 60})
    reader = replace(make({"CPU": [1.0] * 60, "IO:DataFileRead": [3.0] * 60}), instance="r", role="reader")
    unseen = replace(make({}, total=[np.nan] * 60), instance="s", role="reader")
    table, chart = (view([writer, reader, unseen]) for view in (load_views.instances, load_views.over_time))

    assert "3 instances: 4.00 AAS together, 0% on the writer" in repr(table)
    assert [("w", "writer", 0.0, ""), ("r", "reader", 4.0, "IO:DataFileRead 75%"), ("s", "reader", None, "")] == [
        (row[0], row[1], row[2], row[8]) for row in table.rows
    ]
    assert ["w: 0.00 AAS", "r: 4.00 AAS", "s: no data"] == [
        line.removeprefix("CHART ")[:11].rstrip() for line in repr(chart).splitlines()
    ]


def test_of_many_instances_the_busiest_are_drawn_and_the_others_counted():
    """
    A cluster may have fifteen readers; what is not drawn is said, and the table has them all.
    """
    loads = [replace(make({"CPU": [float(n)] * 60}), instance=f"i{n}") for n in range(9)]
    lines = repr(load_views.over_time(loads)).splitlines()

    assert [f"i{n}" for n in range(9 - load_views.PANELS, 9)] == [
        line.removeprefix("CHART ").partition(":")[0] for line in lines
    ]
    assert lines[-1].endswith("not drawn: 3 instances with less load")
    assert 9 == len(load_views.instances(loads).rows)


def test_no_data_and_idle_can_be_drawn():
    """
    An empty figure with a sentence, no error: idle has figures of 0, no data has none.
    """
    idle, unseen = make({"CPU": [0.0] * 60}), make({}, total=[np.nan] * 60)
    views = (
        lambda load: load_views.over_time([load]),
        load_views.by_statement,
        load_tables.statements,
        load_tables.clients,
    )

    said = {name: [repr(view(load)) for view in views] for name, load in (("idle", idle), ("unseen", unseen))}
    nothing = ["CHART no statement was active", "no statement was active", "no application was active"]

    assert said["idle"][0].startswith("CHART w: 0.00 AAS on average, peak 0")
    assert "CHART w: no data" == said["unseen"][0]
    assert [nothing, nothing] == [said[name][1:4] for name in ("idle", "unseen")]
    assert all(view(load).png.startswith(b"\x89PNG") for view in views[:2] for load in (idle, unseen))


def test_every_class_has_a_colour():
    """
    One class keeps one colour in every picture.
    """
    assert set(CLASSES) == set(load_views.COLOURS)
    assert len(CLASSES) == len(set(load_views.COLOURS.values()))


def test_what_has_no_processor_is_shaded_and_counted():
    """
    4 sessions on CPU beside 1 vCPU are 3 without a processor; where there is room for all, nothing is shaded.
    """
    crowded, roomy = (make({"CPU": [4.0] * 20, "Lock:tuple": [2.0] * 20}, vcpu=vcpu) for vcpu in (1.0, 8.0))
    shaded, plain = load_views.over_time([crowded]), load_views.over_time([roomy])

    assert (3.0, 0.0) == (crowded.beyond_vcpus.mean(), roomy.beyond_vcpus.mean())
    assert "; 3.00 on CPU beyond the vCPUs" in repr(shaded)
    assert "beyond" not in repr(plain)
    assert shaded.png != load_views.over_time([replace(crowded, vcpu=crowded.vcpu * np.nan)]).png


def test_where_the_vcpus_are_unknown_nobody_lacks_one():
    assert "beyond" not in repr(load_views.over_time([make({"CPU": [4.0] * 20}, vcpu=np.nan)]))


def test_the_samples_are_set_beside_the_servers_own_clock():
    """100 calls a second of 20 ms are 2 sessions; what has no time of its own, such as a COMMIT, is in neither figure."""
    timed = Statement("A", "SELECT 1", 2.5, {"CPU": 2.5}, calls_per_second=100.0, latency_ms=20.0)
    untimed = Statement("B", "COMMIT", 1.0, {"IO:WALSync": 1.0})

    told = load_tables.statements(make({"CPU": [3.5] * 20}, statements=(timed, untimed))).note
    assert "calls × time makes 2.00 AAS of what was sampled as 2.50" in told
    assert "sampled" not in load_tables.statements(make({"CPU": [1.0] * 20}, statements=(untimed,))).note
