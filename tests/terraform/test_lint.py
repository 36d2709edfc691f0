"""Every Terraform folder of the repository is valid, and what checkov finds in it is mended, or excepted in place with a reason."""

import json
import re
import shutil
import subprocess

import own_environment
import pytest
import scanner
from places import ROOT
from providers import of_six

pytestmark = [pytest.mark.minutes(5), pytest.mark.slow]
ELSEWHERE = "docs/schedules/eventbridge-ecs"
SKIP = re.compile(r"#\s*checkov:skip=([A-Z0-9_]+)(?::(.*))?$", re.M)


def folders():
    """Every folder that has Terraform code, from the root of the repository; links lead to what is there already."""
    found = {
        path.parent
        for place in ("terraform", "docs")
        for path in (ROOT / place).rglob("*.tf")
        if ".terraform" not in path.parts
    }
    return sorted(str(folder.relative_to(ROOT)) for folder in found)


def called(folder):
    """The folders of the modules that one calls, and that theirs call."""
    text = "".join(path.read_text() for path in (ROOT / folder).glob("*.tf"))
    own = {(ROOT / folder / source).resolve() for source in re.findall(r'^  source += "(\.\.?/[^"]*)"$', text, re.M)}
    found = {str(path.relative_to(ROOT)) for path in own}
    return found.union(*map(called, found))


def roots():
    """What nobody calls: validated by itself, and with it what it calls."""
    every = folders()
    inner = set().union(*map(called, every))
    return [folder for folder in every if folder not in inner]


@pytest.mark.parametrize("folder", roots())
def test_a_folder_and_what_it_calls_is_valid(terraform, tmp_path, folder):
    """With the real provider: `terraform validate` of every root, and through it of every module."""
    given = {}
    if folder == ELSEWHERE:
        shutil.copytree(ROOT / folder, terraform.copy / "elsewhere", dirs_exist_ok=True)
        place = "elsewhere"
    else:
        place = folder.removeprefix("terraform/")
    if place == "examples/provider-6":
        given = of_six(terraform, tmp_path)
    done = terraform.run(place, "init", "-backend=false", "-no-color", "-input=false", **given)
    if "Failed to query available provider packages" in done.stderr:
        pytest.skip("the AWS provider is neither in a local mirror nor downloadable")
    assert 0 == done.returncode, done.stderr

    done = terraform.run(place, "validate", "-json", **given)
    found = json.loads(done.stdout)

    warned = [f"{one['summary']}: {one['detail']}" for one in found["diagnostics"]]
    assert (True, []) == (found["valid"], warned)


def scanned(place):
    """checkov's answer about a folder: what failed as (check, resource, name), and how many checks passed."""
    try:
        program = scanner.checkov()
    except own_environment.NotInstalledError as error:
        pytest.skip(f"checkov cannot be installed here: {error}")
    arguments = [
        "--directory",
        str(place),
        "--framework",
        "terraform",
        "--output",
        "json",
        "--quiet",
        "--skip-download",
    ]
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=1800)
    assert done.stdout.lstrip().startswith(("{", "[")), done.stderr
    found = json.loads(done.stdout)
    failed = [(one["check_id"], one["resource"], one["check_name"]) for one in found["results"]["failed_checks"]]
    return failed, found["summary"]["passed"]


def test_the_scanner_finds_nothing_that_is_not_excepted_in_place(tmp_path):
    """Of a copy in which links are files: a scanner does not follow them. What the module's own tests plan is the module."""
    for folder in folders():
        if "tests" in folder.split("/"):
            continue
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for path in (ROOT / folder).glob("*.tf"):
            shutil.copy(path, tmp_path / folder)

    failed, passed = scanned(tmp_path)

    assert [] == failed
    assert 100 < passed


def test_the_scanner_is_seen_to_find_something(tmp_path):
    """An open security group, planted."""
    (tmp_path / "main.tf").write_text(
        'resource "aws_security_group" "open" {\n  description = "x"\n  ingress {\n    description = "x"\n    from_port = 22\n    to_port = 22\n'
        '    protocol = "tcp"\n    cidr_blocks = ["0.0.0.0/0"]\n  }\n}\n'
    )

    failed, _ = scanned(tmp_path)

    assert "CKV_AWS_24" in [check for check, _, _ in failed]


def test_every_exception_has_a_reason():
    """Beside the code, in words."""
    found = [
        (path.name, check, (reason or "").strip())
        for folder in folders()
        for path in (ROOT / folder).glob("*.tf")
        for check, reason in SKIP.findall(path.read_text())
    ]

    assert found
    assert [] == [one for one in found if len(one[2]) < 20]
