"""Mirrors of providers that tests make of the one that is here."""

import re
from pathlib import Path
from typing import Any

import pytest


def of_six(terraform: Any, folder: Path) -> dict[str, str]:
    """Terraform's settings with a mirror of two providers, 5.100.0 and 6.28.0: by number alone, for no provider 6 can be had here.

    So the root's requirement and the module's are resolved together; what provider 6 itself would plan is not known by it.
    """
    configured = Path(terraform.environment.get("TF_CLI_CONFIG_FILE", ""))
    found = re.search(r'path *= *"(.*)"', configured.read_text()) if configured.is_file() else None
    (own,) = (
        Path(found[1]).glob("*/hashicorp/aws/*/*") if found else pytest.skip("no local mirror has the AWS provider")
    )
    for version in ("5.100.0", "6.28.0"):
        place = folder / "mirror" / own.relative_to(found[1]).parents[1] / version
        place.mkdir(parents=True)
        (place / own.name).symlink_to(own)
    settings = folder / "cli.tfrc"
    settings.write_text(
        f'provider_installation {{\n  filesystem_mirror {{\n    path = "{folder / "mirror"}"\n  }}\n}}\n'
    )
    return {"TF_CLI_CONFIG_FILE": str(settings)}
