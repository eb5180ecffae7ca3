# Everything that a contributor or a newcomer runs. Needs Python 3.11+, pip, git and make; the rest goes into .venv.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
WORKERS ?= 2
# Tests that share something expensive name a group (pytest.mark.xdist_group): one worker runs it.
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup --durations 10
# What ftlab needs to run, and with it what checks, tests and all extras need (Ray, MLflow, Optuna, mypy ...).
RUNTIME := $(VENV)/.installed
DEV := $(VENV)/.installed-dev
PIP = $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help install install-dev demo test quick test-slow check format lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(RUNTIME) ## create .venv with the pinned, tested versions

install-dev: $(DEV) ## the same, and what checks, tests and all extras need

demo: $(RUNTIME) ## fine-tune a small encoder on BBC news with three methods and compare them
	$(BIN)/python train.py -m method=lora,prefix,full

test: $(DEV) ## lint, types and every test but the slow ones (WORKERS=2 at a time)
	@$(MAKE) --no-print-directory -j2 check quick

quick: $(DEV) # beside the checks, which hold the rules of tests/test_architecture.py and test_vocabulary.py too
	$(PYTEST) -m "not slow" --ignore tests/test_architecture.py --ignore tests/test_vocabulary.py

test-slow: $(DEV) ## the tests that take minutes
	$(PYTEST) -m slow

check: $(DEV) ## formatting, lint, types and rules of the house, as pre-commit and CI run them
	@PATH="$(abspath $(BIN)):$$PATH" scripts/check

format: $(DEV) ## mend formatting and what lint can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(DEV) ## resolve both lock files anew from pyproject.toml (UPGRADE=1: to the newest versions)
	$(BIN)/uv pip compile --quiet $(if $(UPGRADE),--upgrade) pyproject.toml --all-extras --output-file requirements-dev.lock
	$(BIN)/uv pip compile --quiet pyproject.toml --group build --constraint requirements-dev.lock --output-file requirements.lock
	sed -i.bak "/sys_platform == 'never'/d" requirements.lock requirements-dev.lock && rm requirements.lock.bak requirements-dev.lock.bak

clean: ## remove .venv and the tools' caches, never outputs/
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache

# pip's own configuration decides where packages come from. Two passes: with the lock's hatchling there, building ftlab needs
# no network.
$(RUNTIME): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) is not on the PATH: install Python 3.11 or newer, or name yours: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: ftlab needs Python 3.11 or newer and $(PYTHON) is $$($(PYTHON) --version 2>&1): name a newer one, as in make PYTHON=python3.12" >&2; exit 1; }
	@echo "Installing the pinned packages into $(VENV) (once; about two minutes) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install -qq -r requirements.lock
	@$(PIP) install -qq --no-deps --no-build-isolation -e .
	@touch $@

$(DEV): requirements-dev.lock $(RUNTIME)
	@echo "Installing what checks and tests need into $(VENV) (once; about a minute) ..."
	@$(PIP) install -qq -r requirements-dev.lock
	@touch $@
