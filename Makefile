# Everything a person or CI runs. PYTHON is the interpreter the environment is made with (3.11 or newer).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: quickstart test test-slow check lint perf clean

quickstart: $(VENV)/core
	$(BIN)/smallcoder run recipes/quickstart.toml

test: $(VENV)/dev
	$(BIN)/python -m pytest

test-slow: $(VENV)/dev
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python

check: lint test

# One script a claim: each runs us and a peer in turn on the same input and prints the ratio.
perf: $(VENV)/dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[peers]'
	@for name in consistency encode history language licenses notebooks pages quality redact signals tables train; do \
		echo "== perf/$$name.py"; $(BIN)/python perf/$$name.py || exit 1; done
	$(BIN)/python perf/dedup.py build/perf $(VENV)/lib --datatrove $(BIN)/python
	$(BIN)/python perf/curate.py build/perf $(VENV)/lib/*/site-packages --datatrove $(BIN)/python
	$(BIN)/python perf/graph.py $(VENV)/lib/*/site-packages --npm build/perf/npm
	test ! -d ../shared/benchmarks || $(BIN)/python perf/decontaminate.py ../shared/benchmarks

$(VENV)/core: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "smallcoder needs Python 3.11 or newer: make PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/dev: $(VENV)/core
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache .hypothesis
