"""Which clusters a fleet has, in accounts that answer, refuse and throttle."""

import pytest
from fleet_play import SIZES

from aurora_ops.core.errors import InputError
from aurora_ops.fleet import discovery
from aurora_ops.fleet.description import parse
from aurora_ops.fleet.discovery import NothingKnownError
from aurora_ops.rehearsal import fleets


def names(found):
    return [one.key for one in found.members]


def test_every_account_and_region_is_asked_by_two_requests_each(played):
    """DescribeDBInstances and DescribeDBClusters, of two accounts in two regions: fewer requests cannot list them."""
    found = discovery.discover(played.fleet)

    planned = fleets.plan(SIZES)
    assert sorted(f"{account}.{one.region}.{one.name}" for account, all_ in planned.items() for one in all_) == names(
        found
    )
    assert (4, 8, (), 0) == (found.asked, found.requests, found.refused, found.left_out)


def test_each_account_is_one_of_its_own(played):
    """By the ids in the clusters' ARNs, which are those that the sandboxes' names end with."""
    found = discovery.discover(played.fleet)

    assert {"payments": "100000000001", "logistics": "211111111112"} == {
        one.account.name: one.listed.arn.split(":")[4] for one in found.members
    }


def test_an_account_that_refuses_is_named_with_its_reason_and_the_others_are_listed(played):
    faults, _ = played.of("logistics")
    faults.fail("DescribeDBInstances", "AccessDenied", status=403, times=100)
    try:
        found = discovery.discover(played.fleet)
    finally:
        faults.release()
        faults.clear()

    assert [("logistics", "ap-northeast-1", "AccessDenied"), ("logistics", "us-east-1", "AccessDenied")] == [
        (one.account, one.region, one.reason) for one in found.refused
    ]
    assert {"payments"} == {one.account.name for one in found.members}


def test_where_nobody_answers_nothing_is_listed(played):
    alone = parse({"accounts": [{"name": "gone", "profile": "no-such-profile"}]}, "test")
    with pytest.raises(NothingKnownError, match=r"no account of the fleet could be looked at.*no-such-profile"):
        discovery.discover(alone)


def test_throttled_accounts_are_asked_again(played):
    """Two refusals of each call, as AWS gives them to who asks too fast."""
    faults, _ = played.of("payments")
    faults.throttle("DescribeDBClusters", 2)
    before = names(discovery.discover(played.fleet, ["account=logistics"]))
    faults.throttle("DescribeDBClusters", 2)

    assert 3 == len(before)
    assert 6 == len(discovery.discover(played.fleet).members)


def test_two_ways_into_one_account_list_its_clusters_once(played):
    one = played.fleet.accounts[0]
    twice = played.fleet.model_copy(update={"accounts": (one, one.model_copy(update={"name": "again"}))})

    assert {"payments"} == {member.account.name for member in discovery.discover(twice).members}
    assert 3 == len(discovery.discover(twice).members)


def test_tags_exclusions_and_filters_choose_and_say_how_many_they_left_out(played):
    everything = discovery.discover(played.fleet)
    first = everything.members[0].listed
    chosen = discovery.discover(played.fleet, [f"name={first.identifier}", f"tag:team={first.tags['team']}"])
    without = discovery.discover(played.fleet.model_copy(update={"exclude": (first.identifier,)}))
    tagged = discovery.discover(played.fleet.model_copy(update={"tags": {"team": "nobody"}}))

    assert ([first.identifier], 5) == ([one.listed.identifier for one in chosen.members], chosen.left_out)
    assert (5, 1) == (len(without.members), without.left_out)
    assert (0, 6) == (len(tagged.members), tagged.left_out)


def test_a_filter_that_means_nothing_is_refused_before_anybody_is_asked(played):
    with pytest.raises(
        InputError, match=r"--filter 'regionn=x' means nothing, so nothing was asked.*Did you mean 'region'"
    ):
        discovery.discover(played.fleet, ["regionn=x"])


def test_parameters_of_a_cluster_stand_above_its_account_s_and_the_fleet_s(played):
    fleet = played.fleet.model_copy(update={"parameters": {"a": 1, "b": 1, "c": 1}, "clusters": {"*": {"c": 3}}})
    account = fleet.accounts[0].model_copy(update={"parameters": {"b": 2}})
    member = discovery.discover(fleet).members[0]

    assert {"a": 1, "b": 2, "c": 3} == discovery.parameters(
        fleet, discovery.Member(account, member.region, member.listed)
    )


def test_the_command_lists_them_and_ends_with_how_many(played):
    done = played.ask("list")

    assert (0, "") == (done.returncode, done.stderr)
    assert "6 clusters in 4 of 4 places (an account's region each), by 8 requests" == done.stdout.splitlines()[-1]
