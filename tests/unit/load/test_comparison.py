"""Two windows beside each other: what changed, by calls or by time per call, and what cannot be told."""

import gzip
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from aurora_ops.core.errors import InputError
from aurora_ops.diagnose import comparison, database_load
from aurora_ops.load import bundle, comparison_views
from aurora_ops.load.comparison import Comparison, Window
from aurora_ops.load.model import Load, Statement


def statement(aas, calls=None, ms=None, *, key="aaaa1111", text="SELECT * FROM payments", waits=None, rows=1.0):
    return Statement(key, text, aas, waits or {"CPU": aas}, calls, ms, rows)


def window(*statements, aas=1.0, noise=0.0, seconds=180, at_most=12, instance="w", role="writer", unseen=False):
    """Of one instance; `noise` is the spread of single seconds, seeded."""
    index = pd.date_range("2026-11-26T03:00:01Z", periods=seconds, freq="1s")
    values = np.full(seconds, np.nan) if unseen else aas + noise * np.random.default_rng(1).standard_normal(seconds)
    total = pd.Series(values, index=index)
    empty = pd.Series(np.nan, index=index)
    load = Load(instance, role, 1, total, pd.DataFrame({"CPU": total}), empty, empty, None, True, statements)
    return Window((load,), at_most)


def test_a_change_is_divided_into_calls_and_time_per_call():
    """
    10 calls a second of 10 ms become 20 of 30 ms: 0.1 sessions become 0.6. The halves are exact; what the clock missed is the rest.
    """
    found = Comparison(window(statement(0.1, 10, 10)), window(statement(0.7, 20, 30), aas=2.0))
    (moved,) = found.statements

    assert pytest.approx((0.6, 0.2, 0.3, 0.1)) == (moved.delta, moved.by_calls, moved.by_latency, moved.rest)


@pytest.mark.parametrize("missing", [{"calls": None, "ms": 3.0}, {"calls": 3.0, "ms": None}])
def test_without_calls_or_time_a_change_is_not_divided(missing):
    """A COMMIT has no clock of its own: its change is told, and not what it is made of."""
    found = Comparison(window(statement(0.5, **missing)), window(statement(1.5, **missing)))
    (moved,) = found.statements

    assert (1.0, None, None, None) == (moved.delta, moved.by_calls, moved.by_latency, moved.rest)


@pytest.mark.parametrize(("at_most", "said"), [(12, "new"), (1, "before at most 0.40 AAS")])
def test_a_statement_is_new_only_where_no_list_was_cut(at_most, said):
    """The service lists a dozen; the thirteenth may have run all the time."""
    old, new = statement(0.4, key="old"), statement(1.2, key="new", text="UPDATE tenants SET a = $1")
    found = Comparison(window(old, at_most=at_most), window(old, new, at_most=12))

    assert said in str(comparison_views.statements(found).rows[0][8])
    assert said in repr(comparison_views.sentence(found))


def test_instances_of_a_cluster_add_up():
    """One statement on writer and reader is one row: sessions and calls are added, time per call is the calls' mean."""
    writer, reader = window(statement(0.3, 30, 10)), window(statement(0.1, 10, 30), instance="r", role="reader")
    both = Window(writer.loads + reader.loads, 12)
    (together,) = both.statements.values()

    assert pytest.approx((2.0, 0.4, 40, 15)) == (
        both.average, together.load_aas, together.calls_per_second, together.latency_ms,
    )  # fmt: skip


@pytest.mark.parametrize(("after", "certain"), [(1.02, False), (1.5, True)])
def test_a_change_within_the_noise_is_said_to_be_that(after, certain):
    """A sample a second of a load that jumps by one session says nothing of two hundredths."""
    found = Comparison(window(aas=1.0, noise=1.0), window(aas=after, noise=1.0))

    assert certain is found.is_certain
    assert certain is not ("within the noise" in repr(comparison_views.sentence(found)))


def test_a_window_too_short_for_an_error_leaves_it_open():
    assert None is Comparison(window(seconds=30), window(seconds=180)).is_certain


def test_a_window_that_was_not_sampled_compares_with_nothing():
    """No data is not idle: the load did not fall to 0."""
    said = repr(comparison_views.sentence(Comparison(window(), window(unseen=True))))

    assert "one of the two windows has no data: it was not sampled, so nothing can be compared." == said


def test_advice_follows_what_the_change_is_made_of():
    """More calls are the application's affair, longer ones the plan's; nothing is advised for what fell."""
    more = (statement(0.1, 10, 10, key="a"), statement(0.9, 90, 10, key="a"))
    longer = (statement(0.1, 10, 10, key="b"), statement(0.5, 10, 50, key="b"))
    fell = (statement(3.0, 10, 300, key="c"), statement(0.1, 10, 10, key="c"))
    found = Comparison(*(window(*statements) for statements in zip(more, longer, fell, strict=True)))
    advice = [row[3] for row in comparison_views.what_to_do(found).rows]

    assert ["called more often", "Each call takes longer"] == [
        words
        for words, text in zip(("called more often", "Each call takes longer"), advice, strict=True)
        if words in text
    ]


def test_a_longer_wait_for_a_lock_is_not_blamed_on_the_plan():
    """The statement itself did nothing slower: another session kept what it needs."""
    old = statement(0.1, 10, 10)
    new = statement(0.9, 10, 90, waits={"CPU": 0.1, "Lock:transactionid": 0.8})
    ((_, _, _, advice),) = comparison_views.what_to_do(Comparison(window(old), window(new))).rows

    assert "waits longer for a lock" in advice


def test_the_packaged_pair_finds_what_the_dropped_index_did():
    """
    One look-up lost its index: as many calls as before, each ten times as long. The rest is three clients more.
    """
    found = comparison.compare()
    (moved,) = (one for one in found.found.statements if "subscriptions.status" in one.one.text)

    assert "PASS" == found.report().verdict
    assert 9 < moved.after.latency_ms / moved.before.latency_ms < 11
    assert abs(moved.by_calls) < 0.001 < 0.05 < moved.by_latency


def test_no_literal_is_in_the_packaged_pair():
    """Normalised texts only: literals are personal data."""
    for name in (comparison.BEFORE, comparison.AFTER):
        one = bundle.recording(name)
        assert '"db.sql"' not in (bundle.RECORDINGS / f"{name}.json").read_text()
        assert [] == [s.text for load in one.loads() for s in load.statements if "'" in s.text]


def test_what_was_kept_is_opened_again(tmp_path):
    """The service forgets after a week; the file is read as if it had just answered, and the same answers are the same bytes."""
    one = bundle.recording(comparison.BEFORE)
    first, again = (one.write(tmp_path / name) for name in ("a.json.gz", "b.json.gz"))

    assert first.read_bytes() == again.read_bytes()
    assert one == bundle.open_file(first)
    assert repr(database_load.Diagnosis(one, one.loads())) == repr(database_load.load(str(first)))


@pytest.mark.parametrize(
    "content",
    [None, b"", b"{}", b"[]", gzip.compress(b'{"cluster": "x"}'), gzip.compress(b"{}")[:-9], b"\x1f\x8bno", json.dumps({"cells": []}).encode()],
    ids=["missing", "empty", "an object", "a list", "half a bundle", "cut", "no archive", "a notebook"],
)  # fmt: skip
def test_a_file_that_is_no_bundle_is_refused_by_name(tmp_path, content):
    path = tmp_path / "受注 load.json.gz"
    if content is not None:
        path.write_bytes(content if content[:2] == b"\x1f\x8b" or not content else gzip.compress(content))

    with pytest.raises(InputError, match=r"受注 load\.json\.gz (is no file|holds no window of load)"):
        database_load.load(str(path))


def test_a_kept_window_shows_no_other_cluster_than_its_own(tmp_path):
    path = bundle.recording(comparison.BEFORE).write(tmp_path / "w.json")

    with pytest.raises(InputError, match="holds the load of miyabi-dev-aurora-cluster, not of orders-live"):
        database_load.load(str(path), cluster="orders-live")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"before": "now", "after": "now"}, "nothing could have changed"),
        ({"before": "2026-11-26_bevore"}, "Did you mean '2026-11-26_before'"),
        ({"target": "my-profile"}, "it would mislead"),
        ({"before": "2026-11-23 03:00"}, "2026-11-23 03:00"),
        ({"before": "2099-01-01T00:00:00Z"}, "lies in the future"),
    ],
)
def test_windows_that_cannot_be_compared_are_refused(asked, said):
    with pytest.raises(InputError, match=said):
        comparison.compare(**asked)


def test_overlapping_windows_fail():
    """A window beside a part of itself finds half the change."""
    found = comparison.compare()
    shifted = replace(found.before, start=found.before.start + 60, end=found.before.end + 60)

    assert "FAIL" == comparison.Compared(found.before, shifted, found.found).report().verdict
