"""docs/sandbox/rules.md, made from the rules. `make rules` writes it; a test holds it equal to them."""

from collections.abc import Iterator
from typing import Any

import moto
from places import ROOT

from rules import CHAPTERS
from rules.account import ACCEPTED, BROKEN

PAGE = ROOT / "docs" / "sandbox" / "rules.md"
HEAD = """\
# The sandbox's rules beside moto's behaviour

Made by `make rules` from `tests/support/rules/`; `tests/sandbox/test_against_moto.py` asks a plain moto {version} and the
sandbox each question, by boto3 alone, and fails where either answers otherwise. So the third column is what Aurora documents *and* what the
sandbox answers, and a rule that a later moto learns is noticed. {rows} rules; moto alone breaks {broken} of them.

An error code is the answer to a call that is refused; *accepted* means that it was not; *HTTP 500* that there is no such operation. The source
is a page of the API reference, a guide of AWS by its title, an issue on GitHub, or the sentence that AWS documents nothing.
`InvalidParameterValue` and `InvalidParameterCombination` are RDS's generic answers to a parameter that breaks a documented rule; the reference
lists them for no operation, so which of the two it is rests on reports of its users.

Each rule is implemented in `aurora_ops/sandbox/rds/` or `strict/`, with a comment that names moto's own behaviour.
`tests/sandbox/test_sixty_calls.py` is an account's life in one script of boto3 calls, with the documented answer beside each.

To add a rule:

1. Find Aurora's documented answer and its error *code*.
2. Add its row to `tests/support/rules/`, a question of a few lines and both answers, and see the sandbox answer as moto does.
3. Put the check before the first side effect in the backend method, and name moto's behaviour in the comment.
4. `make rules` writes this table. A rule with an effect beyond its answer, such as on servers or rows, has a test of its own beside it.
"""


def _shown(answer: Any) -> str:
    if isinstance(answer, tuple):
        return ", ".join(_shown(part) for part in answer)
    if answer in (ACCEPTED, BROKEN) or (isinstance(answer, str) and " " in answer):
        return answer
    if answer is None or isinstance(answer, bool):
        return {None: "nothing", True: "yes", False: "no"}[answer]
    return f"`{answer}`"


def _lines() -> Iterator[str]:
    rules = [rule for chapter in CHAPTERS.values() for rule in chapter]
    broken = sum(rule.moto != rule.aurora for rule in rules)
    yield HEAD.format(version=".".join(moto.__version__.split(".")[:2]), rows=len(rules), broken=broken)
    for title, chapter in CHAPTERS.items():
        yield f"## {title}\n"
        yield "| rule | moto | Aurora, and the sandbox | source |"
        yield "|---|---|---|---|"
        for rule in chapter:
            yield f"| {rule.rule} | {_shown(rule.moto)} | {_shown(rule.aurora)} | {rule.source} |"
        yield ""


def text() -> str:
    """The page."""
    return "\n".join(_lines()).rstrip("\n") + "\n"
