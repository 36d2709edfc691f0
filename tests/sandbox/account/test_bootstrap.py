"""What of a sandbox stands without moto really does: its servers start while moto, which takes a second, is being imported."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "name",
    [
        "account.bootstrap",
        "dataplane.plane",
        "parameters.in_force",
        "parameters.families",
        "client.lifecycle",
        "account.store",
    ],
)
def test_it_imports_nothing_of_moto(name):
    """In a process of its own: pytest's has moto already."""
    script = (
        f"import sys, aurora_ops.sandbox.{name}; print([one for one in sys.modules if one.split('.')[0] == 'moto'])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert "[]" == done.stdout.strip()
