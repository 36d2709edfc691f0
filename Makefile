# Aurora operations notebooks. `make` lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed
LOCK := .lock.json
# Four workers on two processors: most of their time is waiting, for Terraform's fixed pauses and for PostgreSQL.
PYTEST := $(BIN)/python -m pytest -n 4 --dist loadscope --no-loadscope-reorder --nbval --nbval-cell-timeout 600

.DEFAULT_GOAL := help
.PHONY: help rehearse test test-all test-browser notebooks rules terraform-docs bench lab requirements

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

rehearse: $(READY)  ## deploy, load, plan costs, inspect load and drill a restore on a local Aurora; ends with a report
	@$(BIN)/aurora-ops rehearse

test: $(READY)  ## lint, then every test and every notebook (nbval) but the slow ones
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(PYTEST) -m "not slow" tests notebooks runbooks

test-all: $(READY)  ## the same with the slow ones
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(PYTEST) tests notebooks runbooks

test-browser: $(READY)  ## open the notebooks in a real JupyterLab (installs playwright, and a browser where there is none)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check playwright
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || $(BIN)/python -m playwright install chromium
	@AURORA_OPS_BROWSER=1 $(BIN)/python -m pytest tests/browser

notebooks: $(READY)  ## execute every notebook in a fresh sandbox and store its outputs in canonical form
	@$(BIN)/aurora-ops notebooks refresh

rules: $(READY)  ## write docs/sandbox/rules.md from tests/support/rules
	@PYTHONPATH=tests/support $(BIN)/python -m rules

terraform-docs: $(READY)  ## write the tables of terraform/modules/aurora's READMEs from variables.tf and outputs.tf
	@PYTHONPATH=tests/support $(BIN)/python -m module_docs

bench: $(READY)  ## measure cost planning and the sandbox: medians of five and ratios within one run; wants a quiet machine
	@$(BIN)/python tests/bench/cost.py
	@$(BIN)/python tests/bench/sandbox.py

lab: $(READY)  ## open JupyterLab
	@$(BIN)/jupyter lab

requirements:  ## renew requirements.txt, the lock, from pyproject.toml, for every Python 3.11 and later
	@$(PYTHON) -m pip install --dry-run --ignore-installed -qq --disable-pip-version-check --report $(LOCK) \
		--python-version 3.11.0 --only-binary :all: --target ignored .
	@$(PYTHON) -c 'import json; \
		found = [i["metadata"] for i in json.load(open("$(LOCK)"))["install"]]; \
		print("# The lock: all that pyproject.toml needs, one version each. Made by `make requirements`."); \
		print(*sorted(m["name"].lower() + "==" + m["version"] for m in found if m["name"] != "aurora-ops"), sep="\n")' > requirements.txt
	@rm -f $(LOCK)

$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is older than 3.11. Name a newer one: make PYTHON=python3.12 ..." >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) (once) ..." >&2
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --requirement requirements.txt
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --editable .
	@touch $@
