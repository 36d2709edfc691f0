"""The drill's page hands its parameters on by their names, so none of them may be one that nothing takes."""

import inspect
import re

from aurora_ops.core.environments import PROJECT_ROOT
from aurora_ops.restore import drill as restore
from aurora_ops.runner import parameters

PAGE = PROJECT_ROOT / "runbooks" / "restore-drill.ipynb"


def test_every_parameter_of_the_page_is_used():
    """By name in a later cell, or as a keyword of `restore.drill`."""
    import nbformat

    cells = nbformat.read(str(PAGE), as_version=4).cells
    code = "\n".join(
        one.source for one in cells if one.cell_type == "code" and "parameters" not in one.metadata.get("tags", ())
    )
    taken = {one.name for one in inspect.signature(restore.drill).parameters.values() if one.kind is one.KEYWORD_ONLY}

    assert [] == [
        one.name for one in parameters.read(PAGE) if one.name not in taken and not re.search(rf"\b{one.name}\b", code)
    ]
