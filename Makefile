# Aurora operations notebooks. `make` lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed
TOOLS := $(VENV)/.installed-dev
# Six workers on two processors: much of their time is waiting, for Terraform's fixed pauses and for PostgreSQL.
PYTEST := $(BIN)/python -m pytest -n 6 --dist loadscope --no-loadscope-reorder --nbval --nbval-cell-timeout 600
PLAYWRIGHT := 1.65.2
BROWSER_TESTS = not slow

.DEFAULT_GOAL := help
.PHONY: help rehearse check test test-all browser test-browser test-browser-quick test-browser-all notebooks rules policies terraform-docs site bench bench-large lab requirements

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

rehearse: $(READY)  ## deploy, load, plan costs, inspect load and drill a restore on a local Aurora; ends with a report
	@$(BIN)/aurora-ops rehearse

check: $(TOOLS)  ## lint, format, direction of imports, spelling, workflow: seconds
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/codespell
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@$(BIN)/pre-commit validate-config
	@$(BIN)/mypy

# pytest's own processes import nbval before conftest.py is read, and do without the grammar too that it speaks of.
test test-all: export PYTHONPATH = $(CURDIR)/tests/support/site
# Hundreds of processes import this package: what the first has compiled, the others read, also where the shell asks for no such files.
test test-all: export PYTHONDONTWRITEBYTECODE =

test: check  ## check, then every test and every notebook (nbval) but the slow ones
	@$(PYTEST) -m "not slow" tests notebooks runbooks

test-all: check  ## the same with the slow ones, and how much of the code they ran
	@rm -f .coverage .coverage.*
	@$(BIN)/coverage run $(wordlist 2,99,$(PYTEST)) tests notebooks runbooks
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

browser: $(READY)  ## install playwright, and a browser where there is none
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check playwright==$(PLAYWRIGHT)
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || $(BIN)/python -m playwright install chromium

test-browser: browser  ## every stored page in a real JupyterLab, three of them run and changed, and the pages of runs in Chromium
	@AURORA_OPS_BROWSER=1 $(BIN)/python -m pytest -m "$(BROWSER_TESTS)" tests/browser

test-browser-quick: BROWSER_TESTS = quick
test-browser-quick: test-browser  ## of these: the pages of runs, the start page, three stored pages: two minutes

test-browser-all: BROWSER_TESTS =
test-browser-all: test-browser  ## all of these, and every page is run by hand: half an hour

notebooks: $(READY)  ## execute every notebook in a fresh sandbox and store its outputs in canonical form
	@$(BIN)/aurora-ops notebooks refresh

rules: $(READY)  ## write docs/sandbox/rules.md from tests/support/rules
	@PYTHONPATH=tests/support $(BIN)/python -m rules

policies: $(READY)  ## write docs/iam: the rights of each page, from what it asks for in the sandbox (ten minutes)
	@PYTHONPATH=tests/support $(BIN)/python -m policies

terraform-docs: $(READY)  ## write the tables and examples of terraform/modules/aurora's READMEs from the code and terraform/examples
	@PYTHONPATH=tests/support $(BIN)/python -m module_docs

site: $(READY)  ## build the documentation as a site into site/ (installs zensical)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'zensical>=0.0.73,<0.2'
	@PYTHONPATH=tests/support $(BIN)/python -m documentation

bench: $(READY)  ## measure cost planning, the sandbox, the comparison of rows, the runner, the list of runs, fleets and database load: medians of five and ratios within one run; wants a quiet machine
	@$(BIN)/python tests/bench/cost.py
	@$(BIN)/python tests/bench/sandbox.py
	@$(BIN)/python tests/bench/restore.py rows
	@$(BIN)/python tests/bench/restore.py calls
	@$(BIN)/python tests/bench/runner.py
	@$(BIN)/python tests/bench/index.py
	@$(BIN)/python tests/bench/fleet.py
	@$(BIN)/python tests/bench/load.py

bench-large: $(READY)  ## the drill's comparison at 1, 5 and 25 million rows, and 10 GiB at depth quick: needs 25 GiB of disk where AURORA_OPS_HOME lies, and half an hour
	@$(BIN)/python tests/bench/restore.py memory
	@$(BIN)/python tests/bench/restore.py quick

lab: $(READY)  ## open JupyterLab on its start page
	@JUPYTER_CONFIG_PATH="$(CURDIR)/aurora_ops/data/lab$${JUPYTER_CONFIG_PATH:+:$$JUPYTER_CONFIG_PATH}" $(BIN)/jupyter lab $(LAB)

requirements:  ## renew the lock's two parts, requirements.txt and requirements-dev.txt, from pyproject.toml
	@$(PYTHON) tests/support/lock.py

$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is older than 3.11. Name a newer one: make PYTHON=python3.12 ..." >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) (once) ..." >&2
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --requirement requirements.txt
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --editable .
	@touch $@

$(TOOLS): $(READY) requirements-dev.txt
	@echo "installing the tools of \`make test\` (once) ..." >&2
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --requirement requirements-dev.txt
	@touch $@
