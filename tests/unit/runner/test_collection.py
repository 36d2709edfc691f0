import subprocess
import sys

import pytest

from aurora_ops.runner.collection import first_sentence


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("\nDeploys it. Twice.\n", "Deploys it."),
        ("\nRestores to\na time.\n\nMore", "Restores to a time."),
        ("**Bottom line.** dev costs `44.10` USD a month. So", "dev costs 44.10 USD a month."),
        ("See [the guide](x.md)! Then", "See the guide!"),
        ("", ""),
    ],
)
def test_the_purpose_is_the_first_sentence_under_the_title(text, sentence):
    assert sentence == first_sentence(text)


def test_a_command_reads_notebooks_without_the_grammar_that_their_schema_does_not_need():
    """It takes longer to build than all else that `aurora-ops list` does. Without PYTHONPATH: other processes of tests are spared it."""
    code = "import sys; from aurora_ops.__main__ import cli; cli(['list'], standalone_mode=False); sys.exit('lark' in sys.modules)"

    ended = subprocess.run([sys.executable, "-E", "-c", code], capture_output=True, text=True)

    assert (0, "") == (ended.returncode, ended.stderr)
    assert "deploy-environment " in ended.stdout
