# Needs Python 3.11 or later with venv, and make. Nothing is written outside this folder but pip's cache.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BENCH_VENV := .venv-bench
BENCH_STAMP := $(BENCH_VENV)/.installed

# Temporary files of tests and of Airflow stay in the clone.
export TMPDIR := $(CURDIR)/.tmp
$(shell mkdir -p .tmp)
export PYTHONPATH := $(CURDIR)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test test-matrix airflow lint types unit contract repeat kill kill-quick system e2e sandbox bench clean
.DEFAULT_GOAL := help

help: ## what can be made
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(STAMP) ## a file of leads goes into the CRM by a real Airflow DAG, and a report comes out
	@$(BIN)/python -m dev.demo

test: lint types unit contract repeat kill-quick system ## all checks and tests

airflow: $(STAMP) ## a local Airflow with the sandbox behind it, to look at in a browser
	@$(BIN)/python -m dev.airflow_ui

sandbox: $(STAMP) ## the EspoCRM sandbox alone, on port 8090
	@$(BIN)/python -m airflow_provider_espo.sandbox --port 8090 --credentials-file .tmp/credentials.json --demo-data

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell airflow_provider_espo example_dags docs dev benchmarks README.md CHANGELOG.md

types: $(STAMP)
	$(BIN)/mypy

unit: $(STAMP)
	$(BIN)/python -m pytest -q -n 2 tests/unit

contract: $(STAMP)
	$(BIN)/python -m pytest -q -n 2 tests/contract

repeat: $(STAMP) ## every task killed at every request it sends, and tried again
	$(BIN)/python -m pytest -q -n 2 tests/repeat

kill-quick: $(STAMP)
	$(BIN)/python -m pytest -q -n 2 tests/kill

SEED ?= 1
kill: $(STAMP) ## extractions, loads and bulk writes killed at a thousand random points (SEED=...), and 20 processes
	ESPO_KILL_SEED=$(SEED) ESPO_KILL_DEATHS=1000 ESPO_KILL_SIGKILLS=24 $(BIN)/python -m pytest -q -n 2 tests/kill

system: $(STAMP)
	$(BIN)/python -m pytest -q tests/system

e2e: $(STAMP) ## a whole Airflow on PostgreSQL, killed at random moments, and a browser; installs Debian packages where missing
	dev/install_e2e.sh
	$(BIN)/python -m pytest -q -s --durations=12 tests/e2e

bench: $(BENCH_STAMP) ## all benchmarks, side by side with other clients; 12 minutes (BENCH="--help" for what can be set)
	$(BENCH_VENV)/bin/python -m benchmarks.run $(BENCH)

$(STAMP): requirements-dev.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -r requirements-dev.lock
	$(BIN)/pip install -q --no-deps --no-build-isolation -e .
	@touch $@

# What the benchmarks compare with has no place beside the tests.
$(BENCH_STAMP): requirements-dev.lock requirements-bench.txt pyproject.toml
	$(PYTHON) -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/pip install -q -r requirements-dev.lock
	$(BENCH_VENV)/bin/pip install -q --no-deps -r requirements-bench.txt
	$(BENCH_VENV)/bin/pip install -q --no-deps --no-build-isolation -e .
	@touch $@

test-matrix: ## unit and system tests on Airflow 3.1.8 and 3.2.2, on Python 3.12 and 3.13; installs both; 20 minutes
	@$(PYTHON) dev/matrix.py

clean: ## remove everything that was made here
	rm -rf $(VENV) .venv-* .airflow .demo .tmp .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
