"""Which program runs Terraform code here: small stand-ins on a PATH of their own say a version, as the real ones do."""

import json
import os
from pathlib import Path

import pytest

from aurora_ops.terraform import program, which_program
from aurora_ops.terraform.program import Root, TerraformError, TerraformMissingError

TERRAFORM, TOFU = "Terraform v1.14.2\non linux_amd64\n", "OpenTofu v1.11.3\non linux_amd64\n"
OLD = "Terraform v1.9.8\non linux_amd64\n\nYour version of Terraform is out of date! The latest version is 1.14.2.\n"


@pytest.fixture
def there(tmp_path, monkeypatch):
    """Puts programs on a PATH that has nothing else of that name."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.delenv(which_program.NAMED_BY, raising=False)

    def put(name, says, fails_with=""):
        path = folder / name
        said = json.dumps({"provider_selections": {"registry.opentofu.org/hashicorp/aws": "6.1.0"}})
        path.write_text(
            f'#!/bin/sh\ncase "$*" in\n  version) printf %b {json.dumps(says)} ;;\n  *"version -json") echo {json.dumps(said)} ;;\n'
            f'  *) echo "Error: {fails_with}"; exit 1 ;;\nesac\n'
        )
        path.chmod(0o755)
        return str(path)

    return put


@pytest.mark.parametrize(
    ("programs", "name", "shown"),
    [
        ({"terraform": TERRAFORM}, "terraform", "1.14.2"),
        ({"tofu": TOFU}, "tofu", "OpenTofu 1.11.3"),
        ({"terraform": TERRAFORM, "tofu": TOFU}, "terraform", "1.14.2"),
        ({"terraform": OLD, "tofu": TOFU}, "tofu", "OpenTofu 1.11.3"),
        ({"terraform": "Terraform v1.12.0-dev\n"}, "terraform", "1.12.0-dev"),
        ({"terraform": TOFU}, "terraform", "OpenTofu 1.11.3"),
    ],
    ids=[
        "terraform",
        "tofu",
        "both",
        "an old terraform and tofu",
        "a development version",
        "tofu under the other's name",
    ],
)
def test_terraform_runs_and_tofu_where_it_is_not_there(there, programs, name, shown):
    """
    Terraform first; a program is what it says, not what its file is called.
    """
    for one, says in programs.items():
        there(one, says)
    found = which_program.chosen()

    assert (name, shown, found.path) == (Path(found.path).name, found.shown, program.program())


def test_the_one_that_is_named_runs_and_no_other(there, monkeypatch):
    """
    By path or by name; where it is none, none of the others takes its place.
    """
    there("terraform", TERRAFORM)
    path = there("my-tofu", TOFU)
    monkeypatch.setenv("AURORA_OPS_TERRAFORM", path)
    assert (path, "registry.opentofu.org") == (program.program(), which_program.chosen().registry)
    monkeypatch.setenv("AURORA_OPS_TERRAFORM", "my-tofu")
    assert path == program.program()
    monkeypatch.setenv("AURORA_OPS_TERRAFORM", "tofuu")
    assert None is program.program()
    assert which_program.missing().startswith("AURORA_OPS_TERRAFORM='tofuu' is no program. Install Terraform (https://")


@pytest.mark.parametrize(
    ("programs", "words"),
    [
        ({}, "neither terraform nor tofu is on PATH. Install Terraform"),
        ({"terraform": OLD}, "Terraform 1.9.8 ({0}/terraform) is older than 1.11 and lacks write-only arguments, which keep the password out of the state"),
        ({"tofu": "OpenTofu v1.10.7\n"}, "OpenTofu 1.10.7 ({0}/tofu) is older than 1.11"),
        ({"terraform": "hello\n"}, "{0}/terraform tells no version of Terraform or OpenTofu"),
    ],
    ids=["none", "terraform 1.9", "tofu 1.10", "something else"],
)  # fmt: skip
def test_what_lacks_is_told_in_one_line(there, tmp_path, programs, words):
    """
    Before anything is made; with where both are had.
    """
    for one, says in programs.items():
        there(one, says)
    said = which_program.missing()

    assert (None, True, False) == (program.program(), said.startswith(words.format(tmp_path / "bin")), "\n" in said)
    assert said.endswith(which_program.HOW_TO_GET)
    with pytest.raises(TerraformMissingError, match="nothing can be planned or applied"):
        Root.prepare("prerequisites/key", tmp_path / "home", {})
    assert not (tmp_path / "home").exists()


def test_messages_name_the_program_that_runs(there, tmp_path):
    """
    Its provider is read under its own registry.
    """
    root = Root(there("tofu", TOFU, "no such backend"), "", tmp_path, dict(os.environ))
    (tmp_path / "tree").mkdir()

    assert "6.1.0" == root.provider_version()
    with pytest.raises(TerraformError, match=r"^tofu init in  failed \(1\): Error: no such backend"):
        root.run("init")


def test_a_mirror_is_that_of_the_programs_own_registry(there, tmp_path, monkeypatch):
    """
    A folder that holds the provider for Terraform serves no tofu.
    """
    there("tofu", TOFU)
    monkeypatch.delenv("TF_CLI_CONFIG_FILE", raising=False)
    monkeypatch.setattr(program, "mirror", lambda registry: tmp_path if registry == "registry.opentofu.org" else None)
    written = program.cli_config(tmp_path, which_program.chosen().registry)["TF_CLI_CONFIG_FILE"]

    assert 'exclude = ["registry.opentofu.org/hashicorp/aws"]' in Path(written).read_text()
    assert {} == program.cli_config(tmp_path, "registry.terraform.io")
