# One command each. A virtual environment is made on first use and follows the requirements files.
PYTHON ?= python3
PORT ?= 0
# As many test processes as cores; `make test JOBS=0` runs them in one.
JOBS ?= auto
TESTS ?=

VENV := .venv
BIN := $(VENV)/bin
# By another name, so that a dry run does not run what calls it.
AGAIN := $(MAKE)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: help demo test faults check format lint types bench web web-test clean

help:
	@echo "make demo    start the gateway with its built-in simulator (PORT=8080 to choose the port)"
	@echo "make test    run every test (TESTS=tests/test_log.py for one file)"
	@echo "make faults  the long version of the fault tests: minutes, thousands of aborts"
	@echo "make check   format, lint, types, then the tests"
	@echo "make format  put the code in its form"
	@echo "make web     build the pages and the browser's client into gateway/static (needs Node)"
	@echo "make bench   CPU time per unit of work, beside a bare aiohttp server"

demo: $(VENV)/runs
	@$(BIN)/python run.py demo --port $(PORT)

test: $(VENV)/tests tests/node/node_modules
	@$(BIN)/python -m pytest -n $(JOBS) $(TESTS)
	@$(if $(TESTS),,$(MAKE) --no-print-directory web-test)

faults: $(VENV)/tests
	@FAULTS=long $(BIN)/python -m pytest -s tests/e2e tests/faults tests/surfaces/test_openapi_answers.py

check: lint types test

lint: $(VENV)/tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

types: $(VENV)/tests
	@$(BIN)/mypy

format: $(VENV)/tests
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(VENV)/tests
	@$(BIN)/python -m bench

# The pages are committed as they are built: Python users never need Node.
web: web/node_modules
	@npm run --prefix web --silent build

# Without Node these are left out, and say so; on the build machine nothing is.
web-test: $(VENV)/tests tests/node/node_modules
	@if node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' 2>/dev/null; then \
		$(AGAIN) --no-print-directory web/node_modules && \
		GATEWAY_PYTHON=$(abspath $(BIN)/python) npm run --prefix web --silent check; \
	else \
		echo "The browser's side was not tested: that needs Node 20.19 or newer." >&2; \
		[ "$$CI" != true ]; fi

web/node_modules: web/package-lock.json
	@echo "Installing what builds and tests the browser's side (once) …"
	@npm ci --prefix web --no-audit --no-fund --ignore-scripts --silent && touch $@

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage .coverage.* htmlcov

# What needs `lint` and `test` one after the other must not run them side by side.
.NOTPARALLEL:

$(VENV)/runs: requirements.txt | $(VENV)/made
	@echo "Installing what runs the gateway (once) …"
	@$(PIP) -r requirements.txt
	@ln -sf ../../gateway/launcher $(BIN)/gateway
	@touch $@

$(VENV)/tests: requirements.txt requirements-dev.txt | $(VENV)/made
	@echo "Installing what runs and tests the gateway (once) …"
	@$(PIP) -r requirements-dev.txt
	@ln -sf ../../gateway/launcher $(BIN)/gateway
	@touch $@ $(VENV)/runs

# Node's own clients, for the tests that use them; without npm those say why they were left out.
tests/node/node_modules: tests/node/package-lock.json
	@if command -v npm >/dev/null; then \
		echo "Installing Node's clients for the tests (once) …"; \
		npm ci --prefix tests/node --no-audit --no-fund --ignore-scripts --silent && touch $@; fi

$(VENV)/made:
	@command -v $(PYTHON) >/dev/null || { \
		echo "There is no $(PYTHON) here. Install Python 3.11 or newer, or name one: make PYTHON=python3.12 …" >&2; \
		exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "$(PYTHON) is older than 3.11. Name a newer one: make PYTHON=python3.12 …" >&2; \
		exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot make virtual environments. On Debian or Ubuntu: sudo apt-get install python3-venv" >&2; \
		exit 1; }
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@touch $@
