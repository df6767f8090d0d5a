# `make train` and `make test` do everything on a fresh machine; both keep to the folder .venv.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help install train test lint format types tests coverage docs clean

help:  ## Show this help.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/installed  ## Make .venv and install mlt into it, editable.

train: $(VENV)/installed  ## Install, then train and evaluate on the embedded data (digits_mlt).
	$(BIN)/python tools/train.py configs/digits_mlt_cb_focal.yaml --overwrite

test: lint types docs tests  ## Everything CI runs: lint, format check, types, docs, doctests, tests.

lint: $(VENV)/installed-dev  ## Check style and format.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/installed-dev  ## Fix style and format.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/installed-dev  ## Check types.
	$(BIN)/mypy

tests: $(VENV)/installed-dev  ## Run all tests and doctests, slow ones too.
	$(BIN)/python -m pytest --numprocesses=2 --dist=worksteal --doctest-modules

coverage: $(VENV)/installed-dev  ## The same with the lines that no test reaches, in half as much time again.
	$(BIN)/python -m pytest --numprocesses=2 --dist=worksteal --doctest-modules --cov --cov-report=term

docs: $(VENV)/installed-dev  ## Build the documentation into build/docs; a warning is an error.
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going docs build/docs

clean:  ## Remove what was installed and built; runs and data stay.
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage

$(VENV)/installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed tests/requirements-mmdet.txt
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	$(BIN)/python -m pip install --quiet --no-deps --requirement tests/requirements-mmdet.txt
	touch $@
