# Each target installs what it needs into .venv; downloads stay in the caches of pip, uv and Maven.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
ARGS ?=

.PHONY: demo test check lint format bench pictures opensearch clean

demo: $(VENV)/ready  ## everything on this machine; ARGS=--once exits when it is shown
	$(RUN) -m demo $(ARGS)

test: $(VENV)/ready  ## all tests, against a real OpenSearch
	$(RUN) -m pytest $(ARGS)

check: lint  ## before every commit: format, lint, types, fast tests
	$(RUN) -m pytest -m "not node" $(ARGS)

lint: $(VENV)/ready
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

format: $(VENV)/ready
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

bench: $(VENV)/ready  ## speed, side by side; writes benchmarks/latest.json
	$(RUN) -m benchmarks $(ARGS)

pictures: $(VENV)/ready  ## docs/dashboards.md: each dashboard as a picture; needs Chromium
	$(RUN) -m pictures $(ARGS)

opensearch: $(VENV)/ready  ## the node alone, in the foreground
	$(RUN) -m demo.opensearch $(ARGS)

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/ready: pyproject.toml uv.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Daswatch needs Python 3.11 or newer: install it, or name it with PYTHON=..."; exit 1; }
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check 'uv>=0.8'
	@UV_PROJECT_ENVIRONMENT=$(VENV) $(VENV)/bin/uv sync --quiet --frozen
	@touch $@
