"""What a page cannot work with is refused before a kernel starts: one sentence, the bounds, exit code 2, and no folder is left."""

import pytest
from click.testing import CliRunner

from aurora_ops.__main__ import cli

COST_PAGES = ["cost-per-environment", "acu-range-what-if", "pricing-options", "acu-history"]
OF_ALL = [
    ("region", "mars-1", "expected the name of an AWS region"),
    ("as_of", "2026-02-30", "There is no such day"),
    ("as_of", "yesterday", "There is no such day"),
    ("timezone", "Asia/Tokio", "Did you mean 'Asia/Tokyo'?"),
    ("timezone", "../etc/passwd", "No time zone has this name"),
]
OF_ONE = [
    ("acu-history", "days", "0", "from 7 to 455"),
    ("acu-history", "days", "-28", "from 7 to 455"),
    ("acu-history", "days", "100000", "CloudWatch keeps 455 days"),
    ("acu-history", "days", "10.5", "expected a whole number of days from 7 to 455."),
    ("acu-history", "budget_usd", "-1", "It may not be negative"),
    ("acu-history", "budget_usd", "nan", "expected an amount in USD"),
    ("acu-history", "source", "nowhere.csv", "There is no file /"),
    ("acu-history", "source", "/etc", "/etc is a folder"),
    ("acu-history", "source", "s3://bucket/x.csv", "aws s3 cp"),
    ("acu-history", "bill", "nowhere.csv", "There is no file /"),
    ("acu-history", "ceiling_acu", "0.7", "in steps of 0.5"),
    ("acu-history", "environment", "qa", "expected one of 'dev', 'stg', 'prod'."),
    ("acu-range-what-if", "vcpus", "0", "expected a number over 0."),
    ("acu-range-what-if", "throttled_minutes", "-1", "It may not be negative"),
    ("acu-range-what-if", "source", "nowhere.parquet#writer", "There is no file /"),
    ("pricing-options", "vcpu_per_acu", "-0.25", "expected a number over 0."),
    ("cost-per-environment", "dev_history", "nowhere.json", "There is no file /"),
    ("cost-per-environment", "export_to", "s3://bucket/x", "aws s3 cp --recursive"),
    ("cost-per-environment", "jpy_per_usd", "-150", "It may not be negative"),
    ("cost-per-environment", "jpy_as_of", "2026-13-01", "There is no such day"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("page", "name", "value", "words"), [*((page, *one) for page in COST_PAGES for one in OF_ALL), *OF_ONE]
)
def test_it_is_refused_with_the_bounds_before_anything_starts(tmp_path, page, name, value, words):
    """
    `days` of 100000 ran for 137 s and died of a date of 1888; -28 and a negative budget passed.
    """
    ended = CliRunner().invoke(cli, ["run", page, "--output-dir", str(tmp_path / "runs"), f"-p{name}", value])

    assert (2, []) == (ended.exit_code, list(tmp_path.iterdir()))
    assert ended.stderr.startswith(f"input refused: {name}={value!r} cannot be used")
    assert words in ended.stderr


def test_what_is_allowed_is_said_once(tmp_path):
    """
    A value without a near one was answered with the same list twice, and a number with pydantic's sentence behind ours.
    """
    said = [
        CliRunner().invoke(cli, ["run", "acu-history", "-p", name, value]).stderr
        for name, value in (("environment", "qa"), ("days", "ten"), ("days", "10.5"))
    ]

    assert [1, 1, 1] == [one.count("expected") for one in said]
    assert not any("Known:" in one or "Input should be" in one or "valid integer" in one for one in said)


REFUSED_AT_ONCE = [
    ("cost-per-environment", ["-p", "region=us-west-9"], "No region with RDS has this name. Did you mean 'us-west-2'?\n"),
    ("restore-drill", ["-p", "region=us-west-9"], "no region with RDS has this name. Did you mean"),
    ("drift", ["--target", "nosuch"], "target='nosuch' is no AWS profile of this machine, so nothing was started. Known: sandbox. Make it with `aws configure --profile nosuch`"),
    ("cost-per-environment", ["-p", "export_to=/proc/x"], "/proc cannot be written"),
    ("cost-per-environment", ["-p", "jpy_per_usd=150"], "jpy_per_usd=150.0 needs jpy_as_of and export_to as well, so nothing was started: a rate has a day"),
    ("cost-per-environment", ["-p", "jpy_as_of=2026-11-01"], "jpy_as_of='2026-11-01' needs jpy_per_usd and export_to as well"),
]  # fmt: skip


@pytest.mark.parametrize(("page", "typed", "words"), REFUSED_AT_ONCE, ids=lambda one: one if isinstance(one, str) else " ".join(one))  # fmt: skip
def test_what_took_a_kernel_to_refuse_is_refused_at_once(tmp_path, monkeypatch, page, typed, words):
    """
    A target that is no profile, a region that AWS does not have, a folder that cannot be made and half of a rate started a kernel each.
    """
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    ended = CliRunner().invoke(cli, ["run", page, "--output-dir", str(tmp_path / "runs"), *typed])

    assert (2, []) == (ended.exit_code, list(tmp_path.iterdir()))
    assert words in ended.stderr


@pytest.mark.parametrize(
    ("page", "name", "value", "refused"),
    [
        ("restore-drill", "restore_to", "yesterday", "expected a time with a zone such as 2025-12-12T03:00:00Z, one of latest, oldest, random, before-xid:4711, before-row:public.orders:id=42, or nothing."),
        ("acu-range-what-if", "vcpus", "0", "expected a number over 0."),
        ("acu-history", "as_of", "2026-02-30", "expected a day such as 2026-11-23, or nothing. There is no such day."),
    ],
)  # fmt: skip
def test_a_cause_is_not_told_a_second_time_in_pythons_words(tmp_path, page, name, value, refused):
    """
    "Invalid isoformat string", "It has to be more than 0" stood behind the sentence that said it already.
    """
    ended = CliRunner().invoke(cli, ["run", page, "--output-dir", str(tmp_path / "runs"), "-p", name, value])

    assert f"input refused: {name}={value!r} cannot be used, so nothing was changed: {refused}\n" == ended.stderr
