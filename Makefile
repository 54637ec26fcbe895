# make demo and make test work on a machine with Python 3.11+, make and pip; they create .venv on first use.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: setup demo test check schemas bench clean

$(VENV)/.serving: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "streamproc needs Python 3.11 or newer; name one with PYTHON=…" >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing streamproc into $(VENV) (once) …" >&2
	@$(PIP_INSTALL) --editable '.[cpu]'
	@touch $@

$(VENV)/.development: $(VENV)/.serving
	@$(PIP_INSTALL) --editable '.[cpu,dev]'
	@touch $@

setup: $(VENV)/.development          ## everything a developer needs, in .venv

demo: $(VENV)/.serving               ## watch sample notes being tagged
	@$(BIN)/streamproc demo $(ARGS)

test: $(VENV)/.development           ## the tests, on real components
	@$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/.development          ## lint, types, import directions, schema drift
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m streamproc.events.schema --check schemas

schemas: $(VENV)/.development        ## write schemas/ from the events
	@$(BIN)/python -m streamproc.events.schema schemas

bench: $(VENV)/.development          ## the benchmarks that need no dataset
	@$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV)
