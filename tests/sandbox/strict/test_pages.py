"""Whatever is described in pages comes in pages of AWS's sizes, whole and once, and with more items than one page holds."""

from datetime import UTC, datetime, timedelta

import pytest
from common import create, refused

ENGINE, FAMILY = "aurora-postgresql", "aurora-postgresql15"
EVENTS = 250


@pytest.fixture(scope="module")
def eventful(rds):
    """An hour with more events than two pages hold: each parameter that is set is one."""
    group = {"DBClusterParameterGroupName": "eventful"}
    rds.create_db_cluster_parameter_group(**group, DBParameterGroupFamily=FAMILY, Description="-")
    for number in range(0, EVENTS, 10):
        rds.modify_db_cluster_parameter_group(
            **group,
            Parameters=[
                {"ParameterName": "log_min_duration_statement", "ParameterValue": str(number + one), "ApplyMethod": "immediate"}
                for one in range(10)
            ],
        )  # fmt: skip


def messages(page):
    return [one["Message"] for one in page["Events"]]


def set_to(numbers):
    return [
        f"Updated parameter log_min_duration_statement to {number} with apply method immediate" for number in numbers
    ]


def test_more_than_a_hundred_events_come_page_by_page_in_order(rds, eventful):
    """moto alone: HTTP 500 for the second page."""
    pages = list(rds.get_paginator("describe_events").paginate(SourceType="db-parameter-group", Duration=60))

    assert [100, 100, 50] == [len(page["Events"]) for page in pages]
    assert set_to(range(EVENTS)) == [one for page in pages for one in messages(page)]


def test_a_page_of_events_has_the_size_that_was_asked_for(rds, eventful):
    first = rds.describe_events(SourceType="db-parameter-group", MaxRecords=20)
    second = rds.describe_events(SourceType="db-parameter-group", MaxRecords=20, Marker=first["Marker"])

    assert (set_to(range(20)), set_to(range(20, 40))) == (messages(first), messages(second))


def test_an_event_meanwhile_moves_no_page(rds, eventful):
    """New events come after all others, so a reader of pages loses none and sees none twice."""
    window = {
        "SourceType": "db-parameter-group",
        "StartTime": datetime.now(UTC) - timedelta(hours=1),
        "EndTime": datetime.now(UTC) + timedelta(hours=1),
    }
    first = rds.describe_events(**window)
    rds.modify_db_cluster_parameter_group(
        DBClusterParameterGroupName="eventful",
        Parameters=[{"ParameterName": "work_mem", "ParameterValue": "8192", "ApplyMethod": "immediate"}],
    )
    second = rds.describe_events(**window, Marker=first["Marker"])

    assert set_to(range(100, 200)) == messages(second)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        ("describe_events", {}),
        ("describe_event_subscriptions", {}),
        ("describe_db_engine_versions", {}),
        ("describe_db_cluster_parameter_groups", {}),
        ("describe_db_parameter_groups", {}),
        ("describe_db_cluster_parameters", {"DBClusterParameterGroupName": f"default.{FAMILY}"}),
        ("describe_db_parameters", {"DBParameterGroupName": f"default.{FAMILY}"}),
        ("describe_engine_default_cluster_parameters", {"DBParameterGroupFamily": FAMILY}),
        ("describe_pending_maintenance_actions", {}),
        ("describe_db_cluster_automated_backups", {}),
    ],
)
def test_another_size_and_an_invented_marker_are_refused(rds, call, named):
    assert ["InvalidParameterValue"] * 3 == [
        refused(getattr(rds, call), **named, MaxRecords=19),
        refused(getattr(rds, call), **named, MaxRecords=101),
        refused(getattr(rds, call), **named, Marker="invented"),
    ]


@pytest.mark.parametrize(
    ("operation", "named", "key"),
    [
        ("describe_db_cluster_parameters", {"DBClusterParameterGroupName": f"default.{FAMILY}"}, "Parameters"),
        ("describe_engine_default_cluster_parameters", {"DBParameterGroupFamily": FAMILY}, "EngineDefaults.Parameters"),
    ],
)
def test_the_parameters_of_a_family_come_in_pages_that_hold_each_once(rds, operation, named, key):
    """AWS sends a hundred at a time: who reads the first page only has not read the rest."""
    pages = list(rds.get_paginator(operation).paginate(**named))
    found = [one["ParameterName"] for page in pages for one in (page.get("EngineDefaults") or page)["Parameters"]]

    assert len(found) > 100
    assert len(found) == len(set(found))
    assert {100} == {len((page.get("EngineDefaults") or page)["Parameters"]) for page in pages[:-1]}


def test_all_that_can_be_ordered_comes_in_pages(rds):
    pages = list(rds.get_paginator("describe_orderable_db_instance_options").paginate(Engine=ENGINE))

    assert len(pages) > 1
    assert 1 == len({len(page["OrderableDBInstanceOptions"]) for page in pages[:-1]})
    assert "Marker" not in rds.describe_orderable_db_instance_options(Engine=ENGINE, MaxRecords=1000)


def test_parameter_groups_come_in_pages_of_their_names(rds):
    for number in range(21):
        rds.create_db_parameter_group(
            DBParameterGroupName=f"page-{number:02}", DBParameterGroupFamily=FAMILY, Description="-"
        )
    first = rds.describe_db_parameter_groups(MaxRecords=20)
    rest = rds.describe_db_parameter_groups(MaxRecords=20, Marker=first["Marker"])
    found = [one["DBParameterGroupName"] for page in (first, rest) for one in page["DBParameterGroups"]]

    assert [f"page-{number:02}" for number in range(21)] == [name for name in found if name.startswith("page-")]


def test_log_files_come_in_pages(rds):
    create(rds, "logging")

    assert 1 == len(rds.describe_db_log_files(DBInstanceIdentifier="logging-1", MaxRecords=1)["DescribeDBLogFiles"])
