# Each target installs what it needs into .venv; downloads stay in the caches of pip, uv and Maven.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
ARGS ?=

# For `make package` and `make deploy`. PYTHON_VERSION and TUNING count on the command line only: images of Python set the
# first in their environment.
BUCKET ?=
STACK ?= daswatch
PARAMETERS ?=
export BUCKET STACK PARAMETERS
# Images of Python set it. Without bytecode, each process of the tests compiles everything again.
unexport PYTHONDONTWRITEBYTECODE
given = $(if $(filter command,$(origin $(1))),--$(2) '$($(1))')

# tests/conftest.py decides how many processes. The tests of a file stay together: they share fixtures.
PARALLEL := -n auto --dist loadfile --no-loadscope-reorder

.PHONY: demo test check lint format bench pictures opensearch package deploy clean

demo: $(VENV)/ready  ## everything on this machine; ARGS=--once exits when it is shown
	$(RUN) -m demo $(ARGS)

test: $(VENV)/ready  ## all tests, against a real OpenSearch
	$(RUN) -m pytest $(PARALLEL) $(ARGS)

check: lint  ## before every commit: format, lint, types, fast tests
	$(RUN) -m pytest $(PARALLEL) -m "not node" $(ARGS)

lint: $(VENV)/ready
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(RUN) -m tools.language
	$(VENV)/bin/cfn-lint template.yaml

format: $(VENV)/ready
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

bench: $(VENV)/ready  ## speed, side by side; writes tools/benchmarks/latest.json
	$(RUN) -m tools.benchmarks $(ARGS)

pictures: $(VENV)/ready  ## regenerate the images in docs; needs Chromium
	$(RUN) -m tools.pictures $(ARGS)

opensearch: $(VENV)/ready  ## the node alone, in the foreground
	$(RUN) -m demo.opensearch $(ARGS)

package: $(VENV)/ready  ## every function's zip for both architectures, in dist/; PYTHON_VERSION=3.13 TUNING=file.yml
	$(RUN) -m tools.artifacts package $(call given,PYTHON_VERSION,python-version) $(call given,TUNING,tuning) $(ARGS)

deploy: $(VENV)/ready  ## package, upload, create or update the stack: BUCKET=... [STACK=daswatch] [PARAMETERS="Name=value ..."]
	@$(RUN) -m tools.artifacts deploy --bucket "$$BUCKET" --stack "$$STACK" --parameters "$$PARAMETERS" $(call given,TUNING,tuning) $(ARGS)

clean:
	rm -rf dist $(VENV) .import_linter_cache .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/ready: pyproject.toml uv.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Daswatch needs Python 3.11 or newer: install it, or name it with PYTHON=..."; exit 1; }
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check 'uv>=0.8'
	@UV_PROJECT_ENVIRONMENT=$(VENV) $(VENV)/bin/uv sync --quiet --frozen
	@touch $@
