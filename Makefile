# The verbs of the house. Everything happens in .venv; nothing else on the machine is touched.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK = 1
export NO_MKDOCS_2_WARNING = 1

.PHONY: help demo test lint types imports docs bench check clean golden

help:            ## list the verbs
	@grep -E '^[a-z]+: .*##|^[a-z]+:  *##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.demo: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[demo]'
	@touch $@

$(VENV)/.dev: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@ $(VENV)/.demo

demo: $(VENV)/.demo   ## the main job on real photos: table, pictures, report in ./demo
	$(BIN)/mien demo --out demo

test: $(VENV)/.dev    ## the test suite, offline
	$(BIN)/python -m pytest

lint: $(VENV)/.dev    ## format and lint, checked
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.dev   ## mypy, strict
	$(BIN)/mypy

imports: $(VENV)/.dev ## imports go down only
	$(BIN)/lint-imports

docs: $(VENV)/.dev    ## build the documentation; warnings are errors
	$(BIN)/mkdocs build --strict --quiet --site-dir site

bench: $(VENV)/.dev   ## benchmarks; DATA=path to folder-per-person photos with pairs.csv
	$(BIN)/python -m benchmarks.run --data $(DATA)

golden: $(VENV)/.dev  ## draw the golden embeddings anew, and say what changed
	$(BIN)/python tests/golden/make.py

check: lint types imports test docs  ## what CI runs

clean:           ## remove what the verbs made
	rm -rf $(VENV) site demo .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
