# make demo | test | test-all | bench | check | clean      (GNU make 3.81 or newer; Python 3.11 or newer)
PYTHON ?= python3
BIN := .venv/bin
USER_STAMP := .venv/.installed
DEVELOPER_STAMP := .venv/.installed-develop

.PHONY: help demo test test-all bench check clean
help:
	@echo "make demo      make the environment, install, and see a source task carried over to 60 labels"
	@echo "make test      make the environment and pass the tests"
	@echo "make test-all  the same with the slow tests on real data (BIOGRAFT_DATA, default ../shared/data)"
	@echo "make bench     measure everything in docs/results.md anew"
	@echo "make check     linter, format and types"
	@echo "make clean     remove the environment and what was made"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "biograft needs Python 3.11 or newer: name it, as in make demo PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv

$(USER_STAMP): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing into .venv: torch is large, the first time takes minutes."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(DEVELOPER_STAMP): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing into .venv: torch is large, the first time takes minutes."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[develop]'
	@touch $@ $(USER_STAMP)

demo: $(USER_STAMP)
	$(BIN)/biograft demo

test: $(DEVELOPER_STAMP)
	$(BIN)/python -m pytest -m "not slow"

test-all: $(DEVELOPER_STAMP)
	$(BIN)/python -m pytest

bench: $(DEVELOPER_STAMP)
	$(BIN)/python benchmarks/results.py

check: $(DEVELOPER_STAMP)
	$(BIN)/ruff check src tests benchmarks examples
	$(BIN)/ruff format --check src tests benchmarks examples
	$(BIN)/mypy

clean:
	rm -rf .venv runs dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
