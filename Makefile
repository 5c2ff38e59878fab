# `make` lists the commands. Only python3 (3.11 or later), make and the package registries are assumed.
PYTHON ?= python3
BIN := .venv/bin
WORKERS ?= 2
PINS := --quiet --strip-extras --no-emit-index-url --no-emit-find-links --no-header --no-annotate --allow-unsafe

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev run test nightly check format bench ui docs lock

help:  ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.venv/runs: requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

.venv/develops: .venv/runs requirements-dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	@touch $@

# The Node SDKs that tests drive; without npm those tests skip.
.venv/sdks: .venv/develops tests/sdks/package-lock.json
	if command -v npm >/dev/null; then npm ci --silent --ignore-scripts --no-audit --no-fund --prefix tests/sdks; fi
	@touch $@

setup: .venv/runs
setup-dev: .venv/develops

run: .venv/runs  ## set everything up, load the demo, serve it on port 8000
	$(BIN)/almanac demo

test: .venv/sdks  ## set everything up, run all tests
	$(BIN)/python tools/ui.py npm test --silent
	$(BIN)/python tools/sdk.py test
	$(BIN)/python tools/sdk.py
	$(BIN)/pytest -n $(WORKERS) --dist loadfile

nightly: .venv/sdks  ## the long rounds: fifty kills under load, all laws with new examples
	ALMANAC_TESTS_RANDOM=yes $(BIN)/pytest -m 'nightly or not nightly'

check: .venv/develops  ## format, lint, types, import floors, docs in step
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m docs.reference --check
	$(BIN)/python tools/ui.py types --check
	$(BIN)/python tools/ui.py npm run --silent check
	$(BIN)/python tools/sdk.py check

format: .venv/develops  ## format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/develops  ## measure; each row is a ratio within one run; writes docs/benchmarks.md
	$(BIN)/python -m bench

ui: .venv/develops  ## write the web app's types from the API, build it and the web SDK anew
	$(BIN)/python tools/ui.py types
	$(BIN)/python tools/ui.py npm run --silent format
	$(BIN)/python tools/ui.py
	$(BIN)/python tools/sdk.py format
	$(BIN)/python tools/sdk.py

docs: .venv/develops  ## write the generated reference pages
	$(BIN)/python -m docs.reference

lock:  ## pin the newest versions that fit
	$(BIN)/pip-compile $(PINS) --extra dev --output-file requirements-dev.txt pyproject.toml
	$(BIN)/pip-compile $(PINS) --constraint requirements-dev.txt --output-file requirements.txt pyproject.toml
