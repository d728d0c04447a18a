# The verbs of the house. Everything happens in .venv; only `browser` installs a Debian package.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK = 1
export NO_MKDOCS_2_WARNING = 1

.PHONY: help demo test lint types imports docs bench peers faults fuzz check clean golden browser

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

test: $(VENV)/.dev browser ## the test suite, offline
	$(BIN)/python -m pytest

browser:         ## Chromium for the tests of the page, from Debian, where that can be installed
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || \
	if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; \
	else echo "no Chromium, and it cannot be installed here: the tests of the page are skipped"; fi

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

peers: $(VENV)/.dev   ## stores of other packages side by side; DATA as for bench
	$(BIN)/python -m pip install --quiet --no-deps face-recognition
	test -x .venv-peers/bin/python || $(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet deepface tf-keras flask
	$(BIN)/python -m benchmarks.stores --data $(DATA) --deepface .venv-peers/bin/python

faults: $(VENV)/.dev  ## 500 kills, cut logs, flipped bytes, a full disk, a leaping clock
	$(BIN)/python -m benchmarks.faults --kills 500

fuzz: $(VENV)/.dev    ## atheris on the image reader and the bundle importer, ten minutes each
	$(BIN)/python -m benchmarks.fuzz images --seconds 600
	$(BIN)/python -m benchmarks.fuzz bundles --seconds 600

golden: $(VENV)/.dev  ## draw the golden embeddings anew, and say what changed
	$(BIN)/python tests/golden/make.py

check: lint types imports test docs  ## what CI runs

clean:           ## remove what the verbs made
	rm -rf $(VENV) .venv-peers site demo .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
