"""Each rule of the sandbox, asked of a plain moto server and of a sandbox by the same boto3 calls (`rules/`, docs/sandbox/rules.md).

A rule that moto has come to know fails here too: then the sandbox's own code for it may go.
"""

from collections import Counter

import pytest
from rules import RULES
from rules.account import Account, stock_moto
from rules.page import PAGE, text


@pytest.fixture(scope="module")
def moto():
    with stock_moto() as account:
        yield account


@pytest.fixture(scope="module")
def ours(sandbox) -> Account:
    return Account(sandbox.endpoint_url, sandbox.access_key_id, sandbox.secret_access_key)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_moto_answers_as_it_did_and_the_sandbox_as_aurora_documents(moto, ours, rule):
    assert (rule.moto, rule.aurora) == (rule.ask(moto), rule.ask(ours))


def test_every_rule_is_there_once():
    assert [] == [name for name, times in Counter(rule.rule for rule in RULES).items() if times > 1]


def test_the_page_says_what_the_rules_say():
    """`make rules` writes it."""
    assert text() == PAGE.read_text(encoding="utf-8")
