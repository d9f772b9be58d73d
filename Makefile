# Everything runs from .venv, which is made from the lock files and made again where those change.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
RUNS := .venv/runs.stamp
DEVELOPS := .venv/develops.stamp
CHECKS_JS := node_modules/.stamp
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

.DELETE_ON_ERROR:
.PHONY: help run test coverage check check-js bench format openapi lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(RUNS) ## start the service, on a fresh machine too; ARGS="--port 8001" for another port
	$(BIN)/rollcall serve $(ARGS)

test: $(DEVELOPS) ## run the tests on SQLite and on PostgreSQL; ARGS="-k expired" for some of them
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal --durations=25 $(ARGS)

coverage: $(DEVELOPS) ## measure what the tests of one process execute; fails below the floor in pyproject.toml
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal -m "unit or api" -k "not postgresql" --cov=app

check: $(DEVELOPS) ## what CI runs: formatting, lint, types, architecture, openapi.yaml, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/rollcall openapi > .venv/openapi.yaml
	diff -u openapi.yaml .venv/openapi.yaml || { echo "openapi.yaml is not what the code says: make openapi"; exit 1; }
	@$(MAKE) --no-print-directory check-js
	@$(MAKE) --no-print-directory test

check-js: ## check the types in the console's JavaScript; needs Node.js, else it is skipped
	@if command -v node >/dev/null && command -v npm >/dev/null; then \
		$(MAKE) --silent --no-print-directory $(CHECKS_JS) && echo node_modules/.bin/tsc && node_modules/.bin/tsc; \
	else \
		echo "SKIPPED: the types in the console's JavaScript were not checked. Install Node.js and npm to check them."; \
		test "$(JS)" != required; \
	fi

bench: $(DEVELOPS) ## measure speed; ARGS=--help lists the benchmarks
	$(BIN)/python -m bench $(ARGS)

format: $(DEVELOPS) ## format the code and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

openapi: $(DEVELOPS) ## write openapi.yaml from the code
	$(BIN)/rollcall openapi > .venv/openapi.yaml
	cp .venv/openapi.yaml openapi.yaml

lock: $(DEVELOPS) ## lock the dependencies that pyproject.toml names; ARGS=--upgrade for newer ones
	$(LOCK) $(ARGS) --group build -o requirements-build.txt
	$(LOCK) $(ARGS) pyproject.toml -o requirements.txt
	$(LOCK) $(ARGS) pyproject.toml --group dev -c requirements.txt -o requirements-dev.txt

clean: ## remove what was made, .venv included; var/ stays
	rm -rf .venv node_modules build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Rollcall needs Python 3.11 or later: make $(MAKECMDGOALS) PYTHON=/path/to/one"; exit 1; }
	@$(PYTHON) -m venv .venv

$(RUNS): requirements-build.txt requirements.txt pyproject.toml | .venv/bin/python
	@echo "Installing the locked dependencies into .venv"
	@$(PIP) install --require-hashes -r requirements-build.txt -r requirements.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(DEVELOPS): $(RUNS) requirements-dev.txt
	@echo "Installing the locked tools for development into .venv"
	@$(PIP) install --require-hashes -r requirements-dev.txt
	@touch $@

$(CHECKS_JS): package.json package-lock.json .npmrc
	@echo "Installing the locked TypeScript compiler into node_modules"
	@npm ci --silent
	@touch $@
