# One obvious way to do each thing. `make help` lists them.
VENV ?= .venv
PYTHON ?= python3
ARGS ?=
BIN := $(VENV)/bin
.DEFAULT_GOAL := help
.PHONY: help run test lint format screenshots snapshots bench bench-quick fuzz clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(VENV)/.ready: pyproject.toml
	@echo 'setting up $(VENV)' >&2
	@$(PYTHON) -m venv $(VENV) >&2
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]' >&2
	@touch $@

run: $(VENV)/.ready ## set up and start it: make run ARGS="--port 80"
	@$(BIN)/python -m compileall -q sockscope
	@$(BIN)/sockscope $(ARGS)

test: $(VENV)/.ready ## set up and run every test
	$(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/.ready ## ruff, mypy --strict, the floors of the house
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.ready ## let ruff mend what it can
	$(BIN)/ruff check --fix

snapshots: $(VENV)/.ready ## accept the screens as they are now
	$(BIN)/python -m pytest tests/tui --snapshot-update

screenshots: $(VENV)/.ready ## make screenshots/*.svg anew, from real sockets
	$(BIN)/python screenshots/make.py

bench: $(VENV)/.ready ## the table of speeds against ss, lsof, netstat and psutil
	@$(BIN)/python -m compileall -q sockscope
	$(BIN)/python tests/benchmarks/bench.py

bench-quick: $(VENV)/.ready ## the same in under two minutes
	@$(BIN)/python -m compileall -q sockscope
	$(BIN)/python tests/benchmarks/bench.py --quick

fuzz: $(VENV)/.ready ## fuzz every parser, ten minutes each at most: make fuzz ARGS="query --seconds 60"
	@$(BIN)/python -c 'import atheris' 2>/dev/null || $(BIN)/pip install --quiet --disable-pip-version-check --editable '.[fuzz]'
	$(BIN)/python tests/fuzz/run.py $(ARGS)

clean: ## remove what these targets made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .fuzz snapshot_report.html dist
