"""fleet.toml: what it may say, and what is refused before anything is asked."""

import pytest

from aurora_ops.fleet import description
from aurora_ops.fleet.description import FleetFileError

WHOLE = """
regions = ["ap-northeast-1", "eu-west-1"]
tags = { managed-by = "dba" }
exclude = ["*-scratch"]
at_once_per_account = 3
parameters = { depth = "quick", max_cost_usd = 20.0 }

[[accounts]]
name = "payments"
profile = "payments-prod"
at_once = 1

[[accounts]]
name = "logistics"
profile = "hub"
role_arn = "arn:aws:iam::210987654321:role/aurora-ops"
regions = ["us-east-1"]

[clusters."ledger-*"]
max_cost_usd = 80.0
"""


def written(tmp_path, text):
    path = tmp_path / "fleet.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(tmp_path, text):
    with pytest.raises(FleetFileError) as raised:
        description.read(written(tmp_path, text))
    return str(raised.value).replace(str(tmp_path), "FOLDER")


def test_accounts_regions_tags_and_parameters_are_read(tmp_path):
    """An account's own regions take the place of the fleet's."""
    found = description.read(written(tmp_path, WHOLE))

    assert ["payments", "logistics"] == [one.name for one in found.accounts]
    assert [("ap-northeast-1", "eu-west-1"), ("us-east-1",)] == [found.regions_of(one) for one in found.accounts]
    assert {"depth": "quick", "max_cost_usd": 20.0} == found.parameters
    assert {"ledger-*": {"max_cost_usd": 80.0}} == found.clusters


ONE = '[[accounts]]\nname = "a"\nprofile = "p"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f'region = ["eu-west-1"]\n{ONE}', "region is no key of a fleet. Did you mean 'regions' or 'at_once_per_region'?"),
        (f'{ONE}rol_arn = "x"\n', "accounts.0.rol_arn is no key of a fleet. Did you mean 'role_arn'?"),
        (ONE + ONE, "accounts: 'a' is there twice."),
        ('regions = ["eu-west-1"]\n', "accounts: Field required."),
        ('[[accounts]]\nname = "a"\n', "accounts.0: give a profile, or a sandbox to rehearse on: one of the two."),
        ('[[accounts]]\nname = "a"\nsandbox = "s"\nprofile = "p"\n', "accounts.0: give a profile, or a sandbox to rehearse on: one of the two."),
        ('[[accounts]]\nname = "a"\nsandbox = "s"\nrole_arn = "arn:aws:iam::210987654321:role/r"\n', "accounts.0: a sandbox has no role to assume: role_arn goes with a profile."),
        (f'regions = ["eu-west-11"]\n{ONE}', "regions: 'eu-west-11': no region with RDS has this name. Did you mean 'eu-west-1'?"),
        (f'at_once_per_region = 0\n{ONE}', "at_once_per_region: Input should be greater than or equal to 1."),
    ],
    ids=["unknown key", "unknown key of an account", "twice", "no account", "no way in", "two ways in", "a sandbox's role", "region", "nothing at once"],
)  # fmt: skip
def test_what_a_fleet_cannot_be_is_refused_by_its_place_in_the_file(tmp_path, text, said):
    assert f"FOLDER/fleet.toml: {said} Nothing was asked." == refusal(tmp_path, text)


def test_no_toml_and_no_file_are_refused(tmp_path):
    assert "is no TOML (" in refusal(tmp_path, "accounts = [")
    with pytest.raises(FleetFileError, match=r"cannot be read .No such file or directory., so no fleet is known"):
        description.read(tmp_path / "other.toml")


def test_all_is_every_profile_of_this_machine():
    """Under a name that a folder can have; without any profile there is no fleet."""
    found = description.every_profile(["payments/prod", "hub"], ["eu-west-1"])

    assert [("payments-prod", "payments/prod"), ("hub", "hub")] == [(one.name, one.profile) for one in found.accounts]
    with pytest.raises(FleetFileError, match="there is none"):
        description.every_profile([], ["eu-west-1"])
