import pytest

from aurora_ops.core.environments import PROJECT_ROOT
from aurora_ops.runner import parameters
from aurora_ops.runner.parameter_types import ParameterError, coerce, parse

CELL = """
from aurora_ops.notebook import Acu, Environment, UtcTime

target: str = "sandbox"  # AWS profile name, or "sandbox"
environment: Environment = "dev"
engine_version: str = "15.10"
account: str = ""
as_of: UtcTime = ""
max_acu: Acu = 8.0
rows: int = 100  # how many
share: float = 0.5
dry_run: bool = True
readers: list[str] = []
snapshot: str | None = None
"""


@pytest.fixture
def declared():
    return parse(CELL, "raise-acu-ceiling")


def test_a_cell_is_read_with_names_types_defaults_and_its_comments_as_help(declared):
    assert ["target", "environment", "engine_version"] == [p.name for p in declared][:3]
    assert 'AWS profile name, or "sandbox"' == declared["target"].help
    assert ("int", 100, "how many") == (declared["rows"].annotation, declared["rows"].default, declared["rows"].help)
    assert "" == declared["environment"].help


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("engine_version", "15.10", "15.10"),
        ("account", "012345678901", "012345678901"),
        ("target", "true", "true"),
        ("target", "12:30", "12:30"),
        ("target", "", ""),
        ("environment", "prod", "prod"),
        ("rows", "7", 7),
        ("share", "1e-1", 0.1),
        ("share", "3", 3.0),
        ("max_acu", "0.5", 0.5),
        ("dry_run", "false", False),
        ("readers", '["a", "b"]', ["a", "b"]),
        ("snapshot", "rds:snap-1", "rds:snap-1"),
        ("as_of", "2025-12-12T12:00:00+09:00", "2025-12-12T03:00:00Z"),
        ("as_of", "", ""),
    ],
)
def test_text_from_a_command_line_becomes_a_value_of_the_annotated_type(declared, name, text, value):
    """The annotation decides, never the look of the value: 15.10 is not 15.1."""
    accepted = coerce(declared, {name: text})[name]

    assert value == accepted
    assert type(value) is type(accepted)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("engine_version", 15.1),
        ("account", 12345678901),
        ("environment", "Dev"),
        ("environment", True),
        ("rows", "3.5"),
        ("rows", 3.0),
        ("rows", True),
        ("share", "nan"),
        ("share", "-inf"),
        ("share", "lots"),
        ("share", True),
        ("max_acu", "0.7"),
        ("max_acu", "-1"),
        ("max_acu", "257"),
        ("dry_run", "ture"),  # codespell:ignore
        ("dry_run", 1),
        ("readers", "a"),
        ("as_of", "2025-12-12T12:00:00"),
        ("as_of", "yesterday"),
        ("snapshot", 1),
    ],
)
def test_a_value_of_another_type_is_refused_by_name_value_and_what_was_expected(declared, name, value):
    with pytest.raises(ParameterError) as refused:
        coerce(declared, {name: value})

    assert f"{name}={value!r}" in str(refused.value)
    assert f"expected {declared[name].expected}" in str(refused.value)
    assert 2 == refused.value.exit_code


def test_an_unknown_name_is_refused_with_the_nearest_known_one(declared):
    """papermill warns and goes on with the default: `-p max_acus 8` would apply the default ceiling."""
    with pytest.raises(ParameterError, match="Did you mean 'max_acu'"):
        coerce(declared, {"max_acus": "8"})


def test_a_naive_time_is_refused_with_how_to_give_its_zone(declared):
    with pytest.raises(ParameterError, match=r"no zone.*add Z for UTC"):
        coerce(declared, {"as_of": "2025-12-12T12:00:00"})


@pytest.mark.parametrize("line", ["x = 1", "x: int", "x: Decimal = 1", "if True:\n    x: int = 1"])
def test_a_cell_that_leaves_a_type_to_guesses_is_refused(line):
    with pytest.raises(ParameterError):
        parse(line)


def test_verify_refuses_what_papermill_has_bent_and_says_how_to_pass_it():
    """papermill's -p turns 15.10 into the number 15.1 before the notebook sees it."""
    live = {"engine_version": 15.1, "__annotations__": {"engine_version": str}}

    with pytest.raises(ParameterError, match=r"engine_version=15.1 .*-r NAME VALUE"):
        parameters.verify(live)


def test_verify_refuses_a_name_that_papermill_only_warned_about():
    live = {"max_acu": 8.0, "__annotations__": {"max_acu": float}, "In": ["", "# Parameters\nmax_acus = 8\n"]}

    with pytest.raises(ParameterError, match="Did you mean 'max_acu'"):
        parameters.verify(live)


def test_verify_reads_the_text_true_where_a_truth_value_is_meant():
    """papermill's -p cannot say True."""
    live = {"dry_run": "false", "__annotations__": {"dry_run": bool}}

    parameters.verify(live)

    assert live["dry_run"] is False


def test_verify_accepts_values_of_the_annotated_types():
    """A whole number is a float; nothing but its type is changed."""
    live = {"share": 1, "target": "x", "__annotations__": {"share": float, "target": str}, "In": ["x = 1"]}

    parameters.verify(live)

    assert (1.0, float, "x") == (live["share"], type(live["share"]), live["target"])


@pytest.mark.parametrize("value", ["0", "-28", "100000", "6", "456", "7.5"])
def test_days_of_a_history_have_bounds(value):
    """Refused before a kernel starts, with the bounds: CloudWatch keeps 455 days, and a month is not drawn from less than a week."""
    declared = parse("days: Days = 28")

    with pytest.raises(ParameterError, match="from 7 to 455"):
        coerce(declared, {"days": value})
    assert [{"days": 7}, {"days": 455}] == [coerce(declared, {"days": days}) for days in ("7", "455")]


def test_a_budget_is_no_negative_amount():
    """acu-history declares it as USD, and so refuses it before a kernel starts."""
    declared = parameters.read(PROJECT_ROOT / "notebooks" / "04_acu-history.ipynb")

    with pytest.raises(ParameterError, match=r"budget_usd.*may not be negative"):
        coerce(declared, {"budget_usd": "-1"})
    with pytest.raises(ParameterError, match="from 7 to 455"):
        coerce(declared, {"days": "-28"})
