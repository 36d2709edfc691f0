"""Files of capacity as the tools write them: read as they are, with what was taken; or refused with the line and what to do on the page."""

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from aurora_ops.capacity.history import HistoryError
from aurora_ops.cost.readers import capacity_files

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
GOOD = "timestamp,capacity_acu\n2026-11-02T12:00:00Z,0.5\n2026-11-02T12:05:00Z,4\n2026-11-02T12:10:00Z,1.5\n"
VALUES = [0.5, 4.0, 1.5]
CONSOLE = """\
Id,m1,m2
Label,prod-writer,prod-reader
Full label,prod-writer ServerlessDatabaseCapacity,prod-reader ServerlessDatabaseCapacity
Account,123456789012,123456789012
Region,ap-northeast-1,ap-northeast-1
Stat,Average,Average
Period,300,300
2026/11/02 12:00:00,0.5,1
2026/11/02 12:05:00,4,
2026/11/02 12:10:00,1.5,2
"""
CONSOLE_OF_ONE = "\n".join(",".join(line.split(",")[:2]) for line in CONSOLE.splitlines())
STAMPS = ["2026-11-02T12:10:00+00:00", "2026-11-02T12:00:00+00:00", "2026-11-02T12:05:00+00:00"]
METRIC_DATA = {
    "MetricDataResults": [
        {"Id": "m1", "Label": "ServerlessDatabaseCapacity", "Timestamps": STAMPS, "Values": [1.5, 0.5, 4], "StatusCode": "Complete"}
    ],
    "Messages": [],
}  # fmt: skip
STATISTICS = {
    "Label": "ServerlessDatabaseCapacity",
    "Datapoints": [
        {"Timestamp": stamp, "Average": value, "Maximum": 16.0, "Unit": "Count"}
        for stamp, value in zip(STAMPS, [1.5, 0.5, 4], strict=True)
    ],
}


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(folder, content, name="prod-writer.csv", series="", **options):
    """The histories in a file of this content."""
    return capacity_files.read(f"{write(folder, name, content)}{series}", **options)


def refusal(folder, content, name="prod-writer.csv", series="", **options):
    """What is said instead."""
    with pytest.raises(HistoryError) as error:
        read(folder, content, name, series, **options)
    return str(error.value)


def values(found):
    return found.samples["capacity_acu"].tolist()


# -- what the tools write -------------------------------------------------------------------------------------------------


def test_the_consoles_file_is_read_with_what_its_lines_say(tmp_path):
    """
    CloudWatch's console puts lines about each series before the rows: metric, instance and statistic are in them.
    """
    (found,) = read(tmp_path, CONSOLE_OF_ONE, "download.csv", timezone="UTC")

    assert ("prod-writer", NOON, VALUES) == (found.instance, found.start_utc, values(found))
    assert (
        "CloudWatch console's CSV: ServerlessDatabaseCapacity (Average) in ACU of prod-writer, "
        "times without an offset, taken as of UTC, samples of 300 s"
    ) == found.origin


def test_two_instances_of_the_console_are_two_histories(tmp_path):
    writer, reader = read(tmp_path, CONSOLE, timezone="UTC")
    (named,) = read(tmp_path, CONSOLE, series="#prod-reader", timezone="UTC")

    assert (["prod-writer", "prod-reader"], 1) == ([writer.instance, reader.instance], len(reader.gaps))
    assert "prod-reader" == named.instance


@pytest.mark.parametrize("answer", [METRIC_DATA, STATISTICS, [METRIC_DATA]], ids=["data", "statistics", "a list"])
def test_the_answers_of_the_aws_cli_are_read_in_any_order(tmp_path, answer):
    """
    CloudWatch gives the newest point first, or none in order; of several statistics the average is taken.
    """
    (found,) = read(tmp_path, json.dumps(answer), "answer.json")

    assert (NOON, VALUES, "answer") == (found.start_utc, values(found), found.instance)
    assert "JSON: ServerlessDatabaseCapacity" in found.origin


def test_answers_behind_each_other_are_one_series(tmp_path):
    """
    get-metric-statistics gives 1,440 points at most: people ask day by day and append.
    """
    answers = [STATISTICS | {"Datapoints": [point]} for point in STATISTICS["Datapoints"]]

    (found,) = read(tmp_path, "\n".join(map(json.dumps, answers)), "days.json")

    assert VALUES == values(found)


def test_prometheus_is_read_by_its_exporters_names(tmp_path):
    result = {
        "metric": {"__name__": "aws_rds_serverless_database_capacity_average", "dimension_DBInstanceIdentifier": "w"},
        "values": [[1793620800, "0.5"], [1793621100, "4"], [1793621400, "1.5"]],
    }
    (found,) = read(tmp_path, json.dumps({"status": "success", "data": {"result": [result]}}), "range.json")

    assert ("w", NOON, VALUES) == (found.instance, found.start_utc, values(found))


def test_records_of_json_are_a_table(tmp_path):
    rows = [{"timestamp": stamp, "capacity_acu": value} for stamp, value in zip(STAMPS, [1.5, 0.5, 4], strict=True)]

    assert VALUES == values(read(tmp_path, json.dumps(rows), "rows.json")[0])


def test_grafanas_csv_names_metric_and_instance_in_its_column(tmp_path):
    text = '"Time","ServerlessDatabaseCapacity writer"\n2026-11-02 12:00:00,0.500\n2026-11-02 12:05:00,4 ACU\n2026-11-02 12:10:00,1.5\n'
    (found,) = read(tmp_path, text, "Panel-data-2026-11-02.csv", timezone="UTC")

    assert ("writer", NOON, VALUES) == (found.instance, found.start_utc, values(found))


OTHERS = {
    "Metrics Insights": (
        CONSOLE_OF_ONE.replace("prod-writer ServerlessDatabaseCapacity", "\"SELECT AVG(ServerlessDatabaseCapacity) FROM SCHEMA(\"\"AWS/RDS\"\", DBInstanceIdentifier) WHERE DBInstanceIdentifier = 'w'\""),
        "w",
    ),
    "Logs Insights": (
        "bin(5m),avg(ServerlessDatabaseCapacity),DBInstanceIdentifier\n2026-11-02 12:00:00.000,0.5,w\n2026-11-02 12:05:00.000,4,w\n2026-11-02 12:10:00.000,1.5,w\n",
        "w",
    ),
    "Datadog, a column for each series": (
        GOOD.replace("capacity_acu", '"avg:aws.rds.serverless_database_capacity{dbinstanceidentifier:w}"'),
        "w",
    ),
    "Datadog, a row for each point": (
        "time,value,group,metric\n" + "".join(f"{1793620800 + 300 * n},{acu},dbinstanceidentifier:w,aws.rds.serverless_database_capacity\n" for n, acu in enumerate(VALUES)),
        "w",
    ),
    "New Relic": (
        "timestamp,average(aws.rds.ServerlessDatabaseCapacity),aws.rds.DBInstanceIdentifier\n" + "".join(f"{1793620800000 + 300000 * n},{acu},w\n" for n, acu in enumerate(VALUES)),
        "w",
    ),
    "Athena": (
        '"timestamp","value_avg","metric_name"\n' + "".join(f'"2026-11-02 12:{5 * n:02d}:00.000 UTC","{acu}","ServerlessDatabaseCapacity"\n' for n, acu in enumerate(VALUES)),
        "export",
    ),
    "Grafana, with offset and unit": (
        '"Time","ServerlessDatabaseCapacity {DBInstanceIdentifier=""w""}"\n' + "".join(f"2026-11-02T21:{5 * n:02d}:00+09:00,{acu:.2f} ACU\n" for n, acu in enumerate(VALUES)),
        "w",
    ),
}  # fmt: skip


@pytest.mark.parametrize("tool", OTHERS)
def test_exports_of_other_tools_are_read_with_their_instance(tmp_path, tool):
    content, instance = OTHERS[tool]
    (found,) = read(tmp_path, content, "export.csv", timezone="UTC")

    assert (instance, NOON, VALUES) == (found.instance, found.start_utc, values(found))


def test_two_results_of_one_answer_are_two_instances(tmp_path):
    """
    The CLI labels each by what differs; its connections are no third series of capacity.
    """
    [one] = METRIC_DATA["MetricDataResults"]
    names = ("w ServerlessDatabaseCapacity", "r ServerlessDatabaseCapacity", "w DatabaseConnections")
    results = [one | {"Id": f"m{number}", "Label": name} for number, name in enumerate(names)]
    writer, reader = read(tmp_path, json.dumps({"MetricDataResults": results, "Messages": []}), "two.json")

    assert ("w", "r") == (writer.instance, reader.instance)
    assert (VALUES, True) == (writer.samples["connections"].tolist(), reader.samples["connections"].isna().all())


def test_our_own_kept_days_are_read(tmp_path):
    """
    They have a column of lengths, and connections.
    """
    text = "start_utc,seconds,capacity_acu,connections\n2026-11-02 12:00:00+00:00,300.0,0.5,3\n2026-11-02 12:05:00+00:00,60.0,4,\n2026-11-02 12:06:00+00:00,60.0,1.5,0\n"
    (found,) = read(tmp_path, text)

    assert ([300.0, 60.0, 60.0], VALUES) == (found.samples["seconds"].tolist(), values(found))
    assert 3.0 == found.samples["connections"].iloc[0]


def test_a_table_of_metrics_gives_the_capacity_and_its_connections(tmp_path):
    """
    One row for each metric, statistic and time, as a database of metrics exports it.
    """
    rows = [
        f"2026-11-02T12:0{minute}:00Z,{metric},{stat},w,{value}"
        for minute, acu in ((0, 0.5), (5, 4))
        for metric, stat, value in (
            ("ServerlessDatabaseCapacity", "Average", acu), ("ServerlessDatabaseCapacity", "Maximum", 16),
            ("CPUUtilization", "Average", 77), ("DatabaseConnections", "Average", 9),
        )
    ]  # fmt: skip
    (found,) = read(tmp_path, "time,metric_name,statistic,dbinstanceidentifier,value\n" + "\n".join(rows))

    assert ("w", [0.5, 4.0], [9.0, 9.0]) == (found.instance, values(found), found.samples["connections"].tolist())


@pytest.mark.parametrize("zoned", [True, False], ids=["with a zone", "without"])
def test_parquet_is_read_as_csv_is(tmp_path, zoned):
    """
    An empty value is a gap, and a time without a zone is refused there too.
    """
    path = tmp_path / "prod-writer.parquet"
    kind, offset = ("TIMESTAMPTZ", "+09") if zoned else ("TIMESTAMP", "")
    rows = f"(VALUES ('2026-11-02 21:00:00{offset}', 0.5), ('2026-11-02 21:05:00{offset}', NULL), ('2026-11-02 21:10:00{offset}', 1.5)) AS t(a, b)"
    duckdb.sql(f"SELECT a::{kind} AS timestamp, b::DOUBLE AS capacity_acu FROM {rows}").write_parquet(str(path))  # noqa: S608 - our own constant

    if not zoned:
        with pytest.raises(HistoryError, match="has no offset"):
            capacity_files.read(path)
    (found,) = capacity_files.read(path, timezone="Asia/Tokyo")

    assert (NOON, 1, pytest.approx(2 / 12)) == (found.start_utc, len(found.gaps), found.acu_hours)


# -- text ------------------------------------------------------------------------------------------------------------------

EUROPE = GOOD.replace(",", ";").replace(".", ",")
READ = {
    "bom.csv": (b"\xef\xbb\xbf" + GOOD.encode(), "table with commas:"),
    "utf16.csv": (GOOD.encode("utf-16"), "in UTF-16"),
    "utf16-without-mark.csv": (GOOD.encode("utf-16-le"), "in UTF-16"),
    "utf32.csv": (GOOD.encode("utf-32"), "in UTF-32"),
    "windows.csv": (GOOD.replace("timestamp", "時刻").encode("cp932"), "in Japanese Windows (cp932)"),
    "UPPER.CSV": (GOOD, "table with commas:"),
    "history.txt": (GOOD, "table with commas:"),
    "windows-lines.csv": (GOOD.replace("\n", "\r\n"), "table with commas:"),
    "old-mac-lines.csv": (GOOD.replace("\n", "\r"), "table with commas:"),
    "packed.csv.gz": (gzip.compress(GOOD.encode()), "table with commas:"),
    "excel.csv": ("sep=,\n" + GOOD, "table with commas:"),
    "excel-europe.csv": ("sep=;\r\n" + EUROPE, "table with semicolons:"),
    "europe.csv": (EUROPE, "table with semicolons:"),
    "tabs.tsv": (GOOD.replace(",", "\t"), "table with tabs:"),
    "trailing-comma.csv": (GOOD.replace("\n", ",\n"), "table with commas:"),
    "trailing-in-rows.csv": (GOOD.replace("\n", ",\n").replace("acu,", "acu"), "table with commas:"),
    "quoted-comma.csv": (GOOD.replace("0.5", '"0,5"').replace("1.5", '"1,5"'), "table with commas:"),
    "empty-lines.csv": (GOOD.replace("\n", "\n\n"), "table with commas:"),
    "title.csv": ("Capacity of prod\n" + GOOD, "table with commas:"),
    "comment.csv": ("# exported, by hand\n" + GOOD, "table with commas:"),
    "index.csv": (",timestamp,acu\n" + "".join(f"{n},{line}\n" for n, line in enumerate(GOOD.split()[1:])), "table with commas:"),
    "utc-by-name.csv": (GOOD.replace("timestamp", '"Timestamp (UTC)"').replace("Z", ""), "in UTC, as the column's name says"),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_text_is_read_whatever_wrote_it(tmp_path, name):
    content, told = READ[name]
    (found,) = read(tmp_path, content, name)

    assert (NOON, VALUES) == (found.start_utc, values(found))
    assert told in found.origin


NO_TABLE = {
    "empty.csv": ("", "is empty"),
    "spaces.csv": (" \n\n", "is empty"),
    "only-a-mark.csv": (b"\xff\xfe", "is empty"),
    "header.csv": ("timestamp,capacity_acu\n", "has no rows"),
    "book.xlsx": (b"PK\x03\x04rest", "save the sheet as CSV"),
    "report.pdf": (b"%PDF-1.7", "export CSV or JSON"),
    "cut.parquet": (b"PAR1 cut", "cannot be read as Parquet"),
    "cut.csv.gz": (gzip.compress(GOOD.encode())[:40], "broken gzip"),
    "comma.csv": (GOOD.replace("0.5", "0,5"), "line 2: 3 cells under 2 names; a comma as decimal sign"),
    "spaces-between.csv": (GOOD.replace(",", " "), "has one column"),
    "no-header.csv": (GOOD.split("\n", 1)[1], "line 1: the file has no header"),
    "cut.json": (json.dumps(STATISTICS)[:200], "line 1: this is no JSON"),
    "other.json": (json.dumps({"some": "thing"}), "JSON of another shape"),
    "none.json": (json.dumps(STATISTICS | {"Datapoints": []}), "holds no points"),
    "page.json": (json.dumps(METRIC_DATA | {"NextToken": "abc"}), "not complete (NextToken)"),
    "partial.json": (json.dumps(METRIC_DATA).replace("Complete", "PartialData"), "not complete (PartialData)"),
    "forbidden.json": (json.dumps(METRIC_DATA).replace("Complete", "Forbidden"), "not complete (Forbidden)"),
    "message.json": (
        json.dumps(METRIC_DATA | {"Messages": [{"Code": "MaxMetricsExceeded", "Value": "over 100"}]}),
        "MaxMetricsExceeded: over 100",
    ),
    "message-of-one.json": (
        json.dumps(
            {
                "MetricDataResults": [
                    METRIC_DATA["MetricDataResults"][0]
                    | {"Messages": [{"Code": "ArithmeticError", "Value": "dropped"}]}
                ]
            }
        ),
        "ArithmeticError: dropped",
    ),
    "two-of-one-label.json": (
        json.dumps(
            {"MetricDataResults": [METRIC_DATA["MetricDataResults"][0] | {"Id": name} for name in ("m1", "m2")]}
        ),
        "m1 and m2 are all labelled 'ServerlessDatabaseCapacity'",
    ),
    "thousands.csv": (GOOD.replace("4\n", "1.2 K\n"), "line 3: capacity_acu='1.2 K' is no number"),
    "metric-stream.json": (
        json.dumps({"metric_name": "ServerlessDatabaseCapacity", "value": {"sum": 2.0, "count": 4.0}}),
        "JSON of another shape",
    ),
    "list.json": ("[1, 2]", "JSON of another shape"),
    "nested.json": ('{"MetricDataResults": [1]}', "JSON of another shape"),
    "deep.json": ("[" * 100_000, "JSON of another shape"),
    "cut-by-a-crash.csv": (GOOD.encode() + b"\0" * 40, "line 5: bytes of zero stand there"),
    "page.html": ("<!DOCTYPE html><html><body>Sign in</body></html>", "has one column"),
    "footer.csv": (GOOD + "Total,6\n", "line 5: 'Total' is a time that cannot be read"),
    "1970.csv": (GOOD + "1970-01-01T00:00:00Z,1\n", "before there was any Serverless v2"),
    "picture.csv": (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00", "bytes of zero"),
    "words.csv": ("timestamp,comment\n2026-11-02T12:00:00Z,idle\n", "no column of numbers"),
    "no-times.csv": ("name,capacity_acu\na,1\nb,2\n", "no column of times"),
}


@pytest.mark.parametrize("name", NO_TABLE)
def test_what_is_no_table_is_refused_by_its_true_reason(tmp_path, name):
    """
    They were told of decimal commas, of order, of a missing column.
    """
    content, words = NO_TABLE[name]

    assert words in refusal(tmp_path, content, name)


def test_a_folder_is_no_file(tmp_path):
    (tmp_path / "x.csv").mkdir()

    with pytest.raises(HistoryError, match="is a folder"):
        capacity_files.read(tmp_path / "x.csv")
    with pytest.raises(HistoryError, match="does not exist"):
        capacity_files.read(tmp_path / "nowhere.csv")


@pytest.mark.parametrize("name", ['wr"iter 100%.csv', "本番 データ.csv", "a{b}.csv", "--help.csv", "october #2.csv"])
def test_files_of_odd_names_are_read(tmp_path, name):
    (found,) = read(tmp_path, GOOD, name)

    assert (Path(name).stem, VALUES) == (found.instance, values(found))


# -- metrics ---------------------------------------------------------------------------------------------------------------


def test_a_percentage_needs_the_ceiling(tmp_path):
    """
    ACUUtilization is percent of a ceiling that no export names.
    """
    text = GOOD.replace("capacity_acu", "ACUUtilization").replace(",0.5", ",3.125").replace(",4", ",25")
    text = text.replace("1.5", "9.375")

    assert "Say how many ACU 100 % were with the parameter ceiling_acu" in refusal(tmp_path, text)
    (found,) = read(tmp_path, text, ceiling_acu=16)
    assert VALUES == values(found)
    assert "ACUUtilization (no statistic named, taken as Average) in percent of 16 ACU" in found.origin


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (CONSOLE_OF_ONE.replace("Average", "Sum"), "holds the Sum of ServerlessDatabaseCapacity"),
        (CONSOLE_OF_ONE.replace("Average", "p99"), "holds the p99 of ServerlessDatabaseCapacity"),
        (GOOD.replace("capacity_acu", "ServerlessDatabaseCapacity_Maximum"), "holds the Maximum of ServerlessDatabaseCapacity"),
        (GOOD.replace("capacity_acu", "CPUUtilization"), "holds CPUUtilization, which is no capacity"),
        (GOOD.replace("capacity_acu", "prod-writer"), "source=\"prod-writer.csv#prod-writer\""),
        (GOOD.replace("capacity_acu", "ACUUtilization").replace("4\n", "140\n"), "has 140 %, and ACUUtilization ends at 100"),
        (
            CONSOLE_OF_ONE.replace(
            "prod-writer ServerlessDatabaseCapacity",
            '"SELECT AVG(ServerlessDatabaseCapacity) FROM SCHEMA(""AWS/RDS"", DBInstanceIdentifier)"',
            ),
            "query of Metrics Insights over every instance",
            ),
        (GOOD.replace("0.5", "3 %").replace("4\n", "25 %\n"), "is in percent, and ServerlessDatabaseCapacity is in ACU"),
    ],
)  # fmt: skip
def test_another_metric_or_statistic_is_refused_by_its_name(tmp_path, content, words):
    """
    A bill follows from the mean capacity; a sum or a maximum under the name of a capacity gave 2,060 USD for a use of 330.
    """
    assert words in refusal(tmp_path, content, timezone="UTC", ceiling_acu=16)


def test_a_series_that_is_named_is_taken_for_the_capacity(tmp_path):
    """
    CloudWatch labels series by what differs, often the instance alone.
    """
    text = GOOD.replace("capacity_acu", "prod-writer")
    (found,) = read(tmp_path, text, series="#prod-writer")

    assert ("prod-writer", VALUES) == (found.instance, values(found))
    assert "prod-writer, taken to be ServerlessDatabaseCapacity as named" in found.origin
    assert "no series 'x'; it has 'prod-writer'" in refusal(tmp_path, text, series="#x")


def test_two_instances_in_a_column_of_names_are_two_histories(tmp_path):
    """
    They were one series, silently.
    """
    rows = "".join(f"2026-11-02T12:0{m}:00Z,{name},{value}\n" for m in (0, 5) for name, value in (("a", 1), ("b", 2)))
    found = read(tmp_path, "timestamp,instance,capacity_acu\n" + rows)

    assert [("a", [1.0, 1.0]), ("b", [2.0, 2.0])] == [(one.instance, values(one)) for one in found]


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("capacity_acu,capacity_acu", "two columns called 'capacity_acu'"),
        ("capacity_acu,ServerlessDatabaseCapacity", "does not say of which instance"),
        ("capacity_acu,ServerlessDatabaseCapacity w", "does not say of which instance"),
    ],
)
def test_two_columns_that_could_be_meant_are_refused(tmp_path, header, words):
    """
    The first was taken without a word.
    """
    assert words in refusal(tmp_path, GOOD.replace("capacity_acu", header).replace("Z,", "Z,9,"))


# -- times -----------------------------------------------------------------------------------------------------------------

IN_UTC = ["2026-11-02T12:00:00Z", "2026-11-02T12:05:00Z", "2026-11-02T12:10:00Z"]


def stamped(stamps):
    return "timestamp,capacity_acu\n" + "".join(f'"{s}",{v}\n' for s, v in zip(stamps, VALUES, strict=True))


@pytest.mark.parametrize(
    "stamps",
    [
        ["1793620800", "1793621100", "1793621400"],
        ["1793620800.0", "1793621100.0", "1793621400.0"],
        ["1793620800000", "1793621100000", "1793621400000"],
        ["1793620800000000", "1793621100000000", "1793621400000000"],
        ["1793620800000000000", "1793621100000000000", "1793621400000000000"],
        [IN_UTC[0], IN_UTC[1].replace("Z", ".000Z"), IN_UTC[2]],
        [IN_UTC[0], IN_UTC[1].replace("Z", "+00:00"), "2026-11-02T21:10:00+09:00"],
        ["2026-11-02T21:00:00+0900", "2026-11-02T21:05:00+09", "2026-11-02T21:10:00 GMT+0900 (JST)"],
        [one.replace("T", " ").replace("Z", " UTC") for one in IN_UTC],
        ["2026-11-02 21:00:00 JST", "2026-11-02 21:05:00 JST", "2026-11-02 21:10:00 JST"],
        ["Mon, 02 Nov 2026 12:00:00 GMT", "Mon, 02 Nov 2026 12:05:00 GMT", "Mon, 02 Nov 2026 12:10:00 GMT"],
    ],
)
def test_times_with_a_zone_are_read_without_being_told_one(tmp_path, stamps):
    """
    Seconds and milliseconds since 1970 have no other meaning; a fraction in one row is no other format (grafana/grafana#87038).
    """
    (found,) = read(tmp_path, stamped(stamps))

    assert (NOON, VALUES) == (found.start_utc, values(found))


@pytest.mark.parametrize(
    ("stamps", "zone"),
    [
        (["2026-11-02 21:00", "2026-11-02 21:05", "2026-11-02 21:10"], "Asia/Tokyo"),
        (["2026/11/2 21:00:00", "2026/11/2 21:05:00", "2026/11/2 21:10:00"], "Asia/Tokyo"),
        (["2026年11月2日 21時00分", "2026年11月2日 21時05分", "2026年11月2日 21時10分"], "Asia/Tokyo"),
        (["02.11.2026 13:00", "02.11.2026 13:05", "02.11.2026 13:10"], "Europe/Berlin"),
        (["02-Nov-2026 07:00", "02-Nov-2026 07:05", "02-Nov-2026 07:10"], "America/New_York"),
        (["2026-11-02 07:00 AM", "2026-11-02 07:05 AM", "2026-11-02 07:10 AM"], "America/New_York"),
    ],
)
def test_times_without_an_offset_are_of_the_time_zone_that_is_given(tmp_path, stamps, zone):
    """
    The advice names the parameter of the page, and it does what the advice says.
    """
    said = refusal(tmp_path, stamped(stamps))
    (found,) = read(tmp_path, stamped(stamps), timezone=zone)

    assert f"line 2: {stamps[0]} has no offset" in said
    assert 'the parameter timezone, such as timezone="Asia/Tokyo"' in said
    assert (NOON, VALUES) == (found.start_utc, values(found))
    assert f"times without an offset, taken as of {zone}" in found.origin


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("02/11/2026 12:00", "03/11/2026 12:00"),
        ("11-02-2026 12:00", "11-03-2026 12:00"),
        ("1/2/26 12:00", "1/3/26 12:00"),
    ],
)
def test_days_that_could_be_months_are_refused(tmp_path, first, second):
    """
    In the first twelve days of a month nothing tells them apart: they were read as other months.
    """
    text = f"timestamp,capacity_acu\n{first},1\n{second},2\n"

    assert f"line 2: {first} could be" in refusal(tmp_path, text, timezone="UTC")


@pytest.mark.parametrize(
    ("first", "second"),
    [("12/11/2026 12:00", "13/11/2026 12:00"), ("11/12/26 12:00 PM", "11/13/26 12:00 PM")],
    ids=["day first", "month first"],
)
def test_one_day_after_the_twelfth_decides_for_all(tmp_path, first, second):
    (found,) = read(tmp_path, f"timestamp,capacity_acu\n{first},1\n{second},2\n", timezone="UTC")

    assert datetime(2026, 11, 12, 12, tzinfo=UTC) == found.start_utc


@pytest.mark.parametrize(
    ("stamps", "zone", "words"),
    [
        (["13/11/2026 12:00", "11/14/2026 12:00", "15/11/2026 12:00"], "UTC", "line 3: days and months change places"),
        ([IN_UTC[0], "2026-11-02 12:05:00", IN_UTC[2]], "", "line 3: 2026-11-02 12:05:00 has no offset and others have one"),
        ([IN_UTC[0], "noon", IN_UTC[2]], "", "line 3: 'noon' is a time that cannot be read"),
        ([IN_UTC[0], "", IN_UTC[2]], "", "line 3: '' is a time that cannot be read"),
        ([IN_UTC[0], "2026-11-02T12:05:00+99:00", IN_UTC[2]], "", "line 3: '2026-11-02T12:05:00+99:00' is a time that cannot be read"),
        ([IN_UTC[0], "2026-02-30T12:05:00Z", IN_UTC[2]], "", "line 3: '2026-02-30T12:05:00Z' is a time that cannot be read"),
        (["2026-11-31 12:00", "2026-11-02 12:00", "2026-11-03 12:00"], "UTC", "line 2: '2026-11-31 12:00' is a time that cannot be read"),
        (["45962.5", "45962.6", "45962.7"], "UTC", "line 2: 45962.5 is how Excel counts days"),
        (["2026-11-02 12:00 CST", "2026-11-02 12:05 CST", "2026-11-02 12:10 CST"], "UTC", "cannot be read"),
        (["2026-11-02 12:00", "2026-11-02 12:05", "2026-11-02 12:10"], "Asia/Tokio", "Asia/Tokio"),
        (["2026-03-29 01:30", "2026-03-29 02:30", "2026-03-29 03:30"], "Europe/Berlin", "clocks change"),
        (["2026-10-25 01:30", "2026-10-25 02:30", "2026-10-25 03:30"], "Europe/Berlin", "clocks change"),
    ],
)  # fmt: skip
def test_a_time_that_is_not_certain_is_refused_with_its_line(tmp_path, stamps, zone, words):
    assert words in refusal(tmp_path, stamped(stamps), timezone=zone)


def test_an_hour_that_the_clocks_repeat_is_told_by_the_order_of_the_rows(tmp_path):
    """
    Berlin, 2026-10-25: 02:00 is there twice, and both hours are kept though their values are the same.
    """
    local = ["00:00", "01:00", "02:00", "02:00", "03:00"]
    text = "timestamp,capacity_acu\n" + "\n".join(f"2026-10-25 {hour},1" for hour in local)
    (found,) = read(tmp_path, text, timezone="Europe/Berlin")

    assert (5.0, ()) == (found.acu_hours, found.gaps)


def test_date_and_time_may_be_two_columns(tmp_path):
    rows = "".join(f"2026-11-02,12:{m:02d},{v}\n" for m, v in zip((0, 5, 10), VALUES, strict=True))

    assert VALUES == values(read(tmp_path, "Date,Time,ACU\n" + rows, timezone="UTC")[0])


# -- values ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nothing", ["", "null", "NaN", "undefined", "-", "N/A"])
def test_what_stands_for_nothing_is_a_gap(tmp_path, nothing):
    (found,) = read(tmp_path, GOOD.replace(",4", f",{nothing}"))

    assert (1, pytest.approx(2 / 12)) == (len(found.gaps), found.acu_hours)


def test_rows_may_be_out_of_order_and_repeated(tmp_path):
    """
    Sorted by time; a row that is there twice with the same value counts once.
    """
    head, *rows = GOOD.splitlines()
    (found,) = read(tmp_path, "\n".join([head, rows[2], rows[0], rows[1], rows[0]]))

    assert VALUES == values(found)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GOOD.replace("4\n", "-4\n"), "has -4 ACU at 2026-11-02 12:05"),
        (GOOD.replace("4\n", "400\n"), "has 400 ACU"),
        (GOOD.replace("4\n", "four\n"), "line 3: capacity_acu='four' is no number"),
        (GOOD.replace("4\n", "inf\n"), "line 3: capacity_acu='inf' is no number"),
        (GOOD.replace("12:05", "12:00"), "is there twice with different values"),
        (GOOD.replace("12:05", "12:04"), "no multiple of"),
        ("timestamp,capacity_acu\n2026-11-02T12:00:00Z,\n2026-11-02T12:05:00Z,\n", "no measured sample"),
        ("timestamp,capacity_acu\n2026-11-02T12:00:00Z,1\n", "one sample"),
    ],
)
def test_values_that_no_history_can_have_are_refused(tmp_path, text, words):
    assert words in refusal(tmp_path, text)
