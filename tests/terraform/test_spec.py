"""The Terraform code does what the specification says; docs/decisions/spec-departures.md lists where it does not."""

import json
import re
import subprocess

import boto3
import module_docs
import pytest
from module_source import MODULE, REQUIRED, ROOT, TERRAFORM, Input, inputs, outputs

from aurora_ops.billing.bill import ALARMS_PER_INSTANCE
from aurora_ops.diagnose.alarms import kinds
from aurora_ops.runner import collection as notebooks

pytestmark = pytest.mark.minutes(3)

ENVIRONMENTS = [TERRAFORM / "environments" / name for name in ("dev", "stg", "prod")]
DEPARTURES = ROOT / "docs" / "decisions" / "spec-departures.md"
TRAPS = ROOT / "docs" / "decisions" / "terraform-traps.md"
PASSWORD = "a-throw-away-Passw0rd"


def table(text: str, heading: str) -> list[list[str]]:
    """The cells of the table under a heading, without its head."""
    section = re.split(r"^#+ ", text.split(f"# {heading}\n")[1], flags=re.M)[0]
    rows = [line.strip("| ") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r" *\| *", row)] for row in rows[2:]]


def value(text: str, type_: str) -> object:
    """A default as the specification's table writes it."""
    if text == "-":
        return REQUIRED
    if text == "null":
        return None
    return text if type_ == "string" else json.loads(text)


def spec_inputs(spec: str) -> dict[str, Input]:
    return {
        name: Input(name, type_, value(default, type_), description)
        for name, description, type_, default, _ in table(spec, "入力変数")
    }


def required_versions() -> dict[str, str]:
    text = (MODULE / "versions.tf").read_text()
    return {
        "terraform": re.search(r'required_version = "(.*)"', text)[1],
        "aws": re.search(r'version = "(.*)"\n    \}', text)[1],
    }


def departures_of_the_code(spec: str) -> list[list[str]]:
    asked = {
        "terraform": re.search(r"- Terraform (>= [\d.]+)", spec)[1],
        "aws": re.search(r"- AWS Provider (>= [\d.]+)", spec)[1],
    }
    rows = [
        [f"requirement {name}", f"`{asked[name]}`", f"`{version}`"]
        for name, version in required_versions().items()
        if version != asked[name]
    ]
    wanted = spec_inputs(spec)
    for ours in inputs():
        theirs = wanted.get(ours.name)
        if theirs is None:
            rows.append([f"input {ours.name}", "absent", f"`{json.dumps(ours.default)}`"])
        elif theirs.default != ours.default:
            asked_for = "required" if theirs.default is REQUIRED else f"`{json.dumps(theirs.default)}`"
            rows.append([f"default {ours.name}", asked_for, f"`{json.dumps(ours.default)}`"])
    promised = {name for name, _ in table(spec, "出力")}
    rows += [[f"output {name}", "absent", "present"] for name in outputs() if name not in promised]
    return rows


def test_every_input_of_the_specification_exists_with_its_type_and_in_its_order(terraform_spec):
    """
    The module's inputs begin with the specification's, in its order, name by name and type by type.
    """
    wanted = [(each.name, each.type) for each in spec_inputs(terraform_spec).values()]

    ours = [(each.name, each.type) for each in inputs()]

    assert wanted == ours[: len(wanted)]


def test_exactly_the_required_inputs_are_required(terraform_spec):
    """
    What the specification marks "Yes" has no default, but for the password, which RDS may manage instead; everything else has one.
    """
    wanted = {name for name, *_, required in table(terraform_spec, "入力変数") if required == "Yes"} - {
        "master_password"
    }

    ours = {each.name for each in inputs() if each.default is REQUIRED}

    assert wanted == ours


def test_every_output_of_the_specification_exists_in_its_order(terraform_spec):
    """
    The module's outputs begin with the specification's.
    """
    wanted = [name for name, _ in table(terraform_spec, "出力")]

    assert wanted == list(outputs())[: len(wanted)]


def test_every_departure_is_listed_and_every_listed_departure_is_real(terraform_spec):
    """
    docs/decisions/spec-departures.md lists what differs between specification and code, no more and no less.
    """
    listed = [row[:3] for row in table(DEPARTURES.read_text(), "Inputs, outputs and versions")]

    assert departures_of_the_code(terraform_spec) == listed


def test_every_departure_has_a_reason():
    """
    The last column says why.
    """
    text = DEPARTURES.read_text()
    reasons = [row[3] for heading in ("Inputs, outputs and versions", "Behaviour") for row in table(text, heading)]

    assert [] == [reason for reason in reasons if len(reason) < 20]


@pytest.mark.parametrize(
    ("page", "heading"),
    [
        (DEPARTURES, "Behaviour"),
        (TRAPS, "What other modules' users met"),
        (TRAPS, "What the specification brings"),
    ],
)
def test_every_row_is_held_by_a_test(page, heading):
    """
    The run or the test that the last column names exists.
    """
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    runs = "\n".join(path.read_text() for path in MODULE.glob("tests/*.tftest.hcl"))
    known = set(re.findall(r"^def (test_\w+)", tests, re.M)) | set(re.findall(r'^run "(\w+)"', runs, re.M))
    named = {row[-1].strip("`") for row in table(page.read_text(), heading)}

    assert named
    assert set() == named - known


def test_every_file_of_the_module_that_a_trap_names_exists():
    """
    The column "Closed in".
    """
    rows = [
        row
        for heading in ("What other modules' users met", "What the specification brings")
        for row in table(TRAPS.read_text(), heading)
    ]
    named = {name for row in rows for name in re.findall(r"`(\w+\.tf|tests/)`", row[2])}

    assert {"main.tf", "variables.tf", "monitoring.tf"} <= named
    assert [] == [name for name in named if not (MODULE / name).exists()]


@pytest.mark.parametrize(("example", "number"), [("basic", 0), ("dev", 1)])
def test_the_examples_are_the_specification_word_for_word(terraform_spec, example, number):
    """
    main.tf of an example is the block of the specification, byte for byte.
    """
    blocks = re.findall(r"```hcl\n(.*?)```", terraform_spec, re.S)

    assert blocks[number].encode() == (TERRAFORM / "examples" / example / "main.tf").read_bytes()


def test_the_code_of_the_environments_stands_once():
    """
    dev, stg and prod hold a relative link to each file of environments/shared, and terraform.tfvars.json of their own.
    """
    shared = {path.name: f"../shared/{path.name}" for path in (TERRAFORM / "environments" / "shared").iterdir()}
    found = {
        folder.name: {path.name: path.is_symlink() and str(path.readlink()) for path in folder.glob("*.tf*")}
        for folder in ENVIRONMENTS
    }

    assert dict.fromkeys(("dev", "stg", "prod"), shared | {"terraform.tfvars.json": False}) == found


@pytest.mark.parametrize("folder", ENVIRONMENTS, ids=lambda folder: folder.name)
def test_an_environment_says_every_value_and_its_own_name(folder):
    """
    terraform.tfvars.json has a value for every variable, and names the environment whose folder it is in.
    """
    values = json.loads((folder / "terraform.tfvars.json").read_text())

    assert [each.name for each in inputs(folder / "variables.tf")] == list(values)
    assert folder.name == values["environment"] == values["tags"]["Environment"]


def test_the_environments_have_the_capacity_of_the_cost_table(terraform_spec):
    """
    The specification's cost table is about the environments as they are.
    """
    wanted = {name.lower(): capacity for name, capacity, _ in table(terraform_spec, "コスト見積もり（参考）")}

    values = {folder.name: json.loads((folder / "terraform.tfvars.json").read_text()) for folder in ENVIRONMENTS}
    ours = {name: f"{each['min_capacity']}-{each['max_capacity']} ACU" for name, each in values.items()}

    assert wanted == ours


# Inputs of the module that an environment finds or decides itself, and why. Every other one is a line of terraform.tfvars.json.
NOT_ASKED_FOR = {
    "vpc_id": "found by the name that the prerequisites give it",
    "subnet_ids": "found by their tag in that VPC",
    "app_security_group_id": "found by the name that the prerequisites give it",
    "kms_key_arn": "found by the alias that the prerequisites give it",
    "master_password": "read from the secret of the prerequisites, at plan and at apply",
    "manage_master_user_password": "excludes the password of that secret, by which the runbooks enter; a block of one's own may use it",
    "name": "the runbooks find the environment's cluster by it; another cluster is another block",
    "event_subscription": "wherever there is a topic",
    "restore_to_point_in_time": "counts at creation only: a restore is another block, beside the environment's",
    "snapshot_identifier": "counts at creation only: a restore is another block, beside the environment's",
}


def test_an_environment_passes_every_input_on_or_says_why_not():
    """
    An input that cannot be reached from terraform.tfvars.json does not exist for who runs an environment (AllowMajorVersionUpgrade was one).
    """
    main = (TERRAFORM / "environments" / "shared" / "main.tf").read_text()
    passed = set(re.findall(r"^  (\w+) += var\.\1$", main[main.index('module "aurora"') :], re.M))
    asked = {each.name for each in inputs(TERRAFORM / "environments" / "shared" / "variables.tf")} - {"region"}

    assert asked == passed
    assert {each.name for each in inputs()} == passed | set(NOT_ASKED_FOR)
    assert set() == passed & set(NOT_ASKED_FOR)


def test_an_environment_passes_all_outputs_through():
    """
    An environment offers what the module offers, in the same words.
    """
    assert outputs() == outputs(ENVIRONMENTS[0] / "outputs.tf")


@pytest.mark.parametrize("readme", module_docs.READMES, ids=lambda path: path.name)
def test_the_readmes_of_the_module_show_the_inputs_and_outputs_of_the_code(readme):
    """
    `make terraform-docs` would change nothing: the tables are the ones that variables.tf and outputs.tf make.
    """
    assert module_docs.written(readme) == readme.read_text(encoding="utf-8")


def test_the_japanese_readme_says_what_the_specification_says(terraform_spec):
    """
    Name by name, a description of the specification's table begins the one of README.ja.md.
    """
    told = module_docs.told((MODULE / "README.ja.md").read_text(encoding="utf-8"))
    wanted = {name: text for heading in ("入力変数", "出力") for name, text, *_ in table(terraform_spec, heading)}

    assert {} == {name: text for name, text in wanted.items() if not told[name].startswith(text)}


def test_every_input_says_what_an_edit_does():
    """
    In the fixed form that tests/terraform/test_edits.py proves.
    """
    assert [] == [each.name for each in inputs() if each.effect is None]


def test_every_input_with_a_rule_and_every_check_is_seen_to_fail():
    """
    A rule that no run of the module's tests breaks may be one that never fails.
    """
    blocks = re.findall(r'^variable "(\w+)" \{\n(.*?)^\}', (MODULE / "variables.tf").read_text(), re.M | re.S)
    ruled = {f"var.{name}" for name, body in blocks if "validation {" in body}
    checks = {f"check.{name}" for name in re.findall(r'^check "(\w+)"', (MODULE / "checks.tf").read_text(), re.M)}
    lists = re.findall(r"expect_failures = \[(.*?)\]", "".join(p.read_text() for p in MODULE.glob("tests/*.hcl")), re.S)
    seen = {name.strip() for names in lists for name in names.split(",")}

    assert 20 < len(ruled)
    assert set() == (ruled | checks) - seen


def test_no_file_names_a_machine_or_an_endpoint():
    """
    Where calls go is the caller's business: no absolute path, no endpoint, no registry host, no bucket of the state.
    """
    forbidden = re.compile(r'"/(?!aws/)|https?://|localhost|registry\.terraform\.io|endpoints \{|access_key|bucket *=')
    files = [path for path in TERRAFORM.rglob("*.*") if path.suffix in (".tf", ".hcl", ".json")]

    assert [] == [str(path.relative_to(ROOT)) for path in files if forbidden.search(path.read_text())]


def test_the_code_is_formatted(terraform):
    """
    `terraform fmt` would change nothing, but for the two examples that are kept as the specification writes them.
    """
    # The code itself: into the copy, other tests write roots of their own.
    looked = [terraform.program, f"-chdir={TERRAFORM}", "fmt", "-check", "-recursive"]
    listed = subprocess.run(looked, capture_output=True, text=True, env=terraform.environment).stdout.split()

    assert ["examples/basic/main.tf", "examples/dev/main.tf"] == listed


@pytest.mark.parametrize("folder", ["prerequisites", "environments/dev", "examples/basic", "examples/dev"])
def test_the_code_is_valid(terraform, folder):
    """
    `terraform validate` accepts it, with the real provider. (stg and prod are dev, letter for letter.)
    """
    terraform.init(folder)

    done = terraform.run(folder, "validate", "-no-color")

    assert 0 == done.returncode, done.stderr


def test_the_module_passes_its_own_tests(terraform):
    """
    `terraform test` with a mocked provider: offline, without credentials.
    """
    terraform.init("modules/aurora")

    done = terraform.run("modules/aurora", "test", "-no-color")

    assert 0 == done.returncode, done.stdout + done.stderr
    assert re.search(r"^Success! \d+ passed, 0 failed\.$", done.stdout, re.M), done.stdout


def planned(terraform, folder: str, **environment: str) -> tuple[dict[str, dict], str]:
    """The planned resources of the cluster by type, and the whole plan as text."""
    made = terraform.run(folder, "plan", "-no-color", "-input=false", "-out=test.tfplan", **environment)
    assert 0 == made.returncode, made.stderr
    text = terraform.run(folder, "show", "-json", "test.tfplan", **environment).stdout

    [module] = [
        m for m in json.loads(text)["planned_values"]["root_module"]["child_modules"] if "aurora" in m["address"]
    ]
    resources: dict[str, dict] = {}
    for resource in module["resources"]:
        resources.setdefault(resource["type"], {})[resource["address"].removeprefix(module["address"] + ".")] = resource
    return resources, text


@pytest.mark.parametrize(
    ("example", "instances", "ceiling"),
    [
        ("basic", ["miyabi-prod-aurora-reader-1", "miyabi-prod-aurora-writer"], 16),
        ("dev", ["miyabi-dev-aurora-writer"], 2),
    ],
)
def test_the_examples_plan_what_the_specification_says(terraform, terraform_aws, example, instances, ceiling):
    """
    With the real provider, each example plans its cluster and instances, and the password is not in the plan.
    """
    folder = f"examples/{example}"
    terraform.init(folder)

    resources, text = planned(terraform, folder, **terraform_aws, TF_VAR_db_password=PASSWORD)

    [cluster] = resources["aws_rds_cluster"].values()
    assert ceiling == cluster["values"]["serverlessv2_scaling_configuration"][0]["max_capacity"]
    assert instances == sorted(each["values"]["identifier"] for each in resources["aws_rds_cluster_instance"].values())
    assert ALARMS_PER_INSTANCE * len(instances) == len(resources["aws_cloudwatch_metric_alarm"])
    assert PASSWORD not in text


def test_every_alarm_has_its_page_and_every_page_of_an_alarm_its_alarm():
    """
    Who is woken by it can open what it names, and no page waits for an alarm that nobody made.
    """
    text = (MODULE / "monitoring.tf").read_text()
    block = text.partition("  alarms = {\n")[2].partition("\n  }\n")[0]
    made = dict(re.findall(r'^    ([a-z-]+) += \{ metric = "(\w+)"', block, re.MULTILINE))
    proof = re.search(r'metric_name += "(\w+)"\n  dimensions += \{ DBClusterIdentifier', text)[1]
    known = {kind.name: kind for kind in kinds.KINDS if kind.name}
    pages = {entry.name for entry in notebooks.collection()}

    assert {**made, kinds.RESTORE_PROOF: proof} == {name: kind.metrics[0] for name, kind in known.items()}
    assert {f"alarm-{name}" for name in made} == {kind.page for name, kind in known.items() if name in made}
    assert {f"alarm-{name}" for name in made} == {page for page in pages if page.startswith("alarm-")}
    assert known[kinds.RESTORE_PROOF].page in pages
    assert {"${each.value.name}", ""} == set(
        re.findall(r"aurora-ops run (?:alarm-(\$\{[a-z.]+\})|respond-to-missing-drill)", text)
    )


def test_an_environment_finds_its_prerequisites_and_nobody_learns_the_password(terraform, terraform_aws):
    """
    After prerequisites were applied, an environment plans with what they made. The password that Secrets Manager holds
    is neither in the state of the prerequisites nor in the plan of the environment.
    """
    terraform.init("prerequisites")
    terraform.init("environments/dev")

    applied = terraform.run(
        "prerequisites", "apply", "-auto-approve", "-input=false", "-var=environment=dev", **terraform_aws
    )
    assert 0 == applied.returncode, applied.stderr
    made = json.loads(terraform.run("prerequisites", "output", "-json", **terraform_aws).stdout)
    resources, text = planned(terraform, "environments/dev", **terraform_aws)

    [subnets] = resources["aws_db_subnet_group"].values()
    [ingress] = resources["aws_vpc_security_group_ingress_rule"].values()
    [cluster] = resources["aws_rds_cluster"].values()
    assert sorted(made["private_subnet_ids"]["value"]) == sorted(subnets["values"]["subnet_ids"])
    assert made["app_security_group_id"]["value"] == ingress["values"]["referenced_security_group_id"]
    assert made["kms_key_arn"]["value"] == cluster["values"]["kms_key_id"]

    secrets = boto3.client(
        "secretsmanager",
        region_name="ap-northeast-1",
        endpoint_url=terraform_aws["AWS_ENDPOINT_URL"],
        aws_access_key_id=terraform_aws["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=terraform_aws["AWS_SECRET_ACCESS_KEY"],
    )
    password = secrets.get_secret_value(SecretId=made["secret_name"]["value"])["SecretString"]
    assert 40 == len(password)
    assert password not in (terraform.copy / "prerequisites" / "terraform.tfstate").read_text()
    assert password not in text
