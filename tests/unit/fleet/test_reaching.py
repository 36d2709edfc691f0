"""How accounts are reached: a role is a profile of a configuration that lives as long as the command."""

import os
from configparser import ConfigParser

from aurora_ops.fleet import reaching
from aurora_ops.fleet.description import Account

ROLE = "arn:aws:iam::210987654321:role/aurora-ops"


def test_a_role_becomes_a_profile_beside_those_of_the_machine(tmp_path, monkeypatch):
    """With the source's region; afterwards the machine's own configuration is read again."""
    own = tmp_path / "config"
    own.write_text("[profile hub]\nregion = eu-west-1\nsso_session = s\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(own))
    account = Account(name="logistics", profile="hub", role_arn=ROLE, external_id="x-1")

    with reaching.configured(reaching.configuration([account])) as variables:
        parser = ConfigParser()
        parser.read(variables["AWS_CONFIG_FILE"])
        assert os.environ["AWS_CONFIG_FILE"] == variables["AWS_CONFIG_FILE"]

    assert "aurora-ops-fleet-logistics" == reaching.target(account)
    assert {"role_arn": ROLE, "source_profile": "hub", "role_session_name": "aurora-ops-fleet", "external_id": "x-1", "region": "eu-west-1"} == dict(
        parser["profile aurora-ops-fleet-logistics"]
    )  # fmt: skip
    assert "s" == parser["profile hub"]["sso_session"]
    assert str(own) == os.environ["AWS_CONFIG_FILE"]


def test_without_a_role_nothing_is_written(monkeypatch):
    monkeypatch.delenv("AWS_CONFIG_FILE", raising=False)
    with reaching.configured(reaching.configuration([Account(name="a", profile="p")])) as variables:
        assert ({}, None) == (variables, os.environ.get("AWS_CONFIG_FILE"))


def test_a_sandbox_is_named_to_the_run():
    account = Account(name="a", sandbox="fleet-210987654321")
    assert ("sandbox", {"AURORA_OPS_SANDBOX": "fleet-210987654321"}) == (
        reaching.target(account),
        reaching.environment(account),
    )
