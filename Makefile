# riskd: `make run` installs what it needs and serves; `make test` proves it. Each target says what it does: `make help`.

PORT ?= 8000
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# The newest Python from 3.11 on that is here; `make PYTHON=/path/to/python3 install` takes another.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)

.DEFAULT_GOAL := help
.PHONY: help install run check test test-real bench faults clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

install: $(STAMP)  ## make .venv with the `riskd` command in it

# Debian's python3 may lack ensurepip, so a venv with pip in it is tried in four ways, from usual to rare.
$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "riskd needs Python 3.11 or later; name it: make PYTHON=/path/to/python3 install" >&2; exit 1; }
	@rm -rf $(VENV)
	@{ $(PYTHON) -c 'import ensurepip' 2>/dev/null && $(PYTHON) -m venv $(VENV); } \
	|| { $(PYTHON) -m venv --without-pip $(VENV) && $(PYTHON) -m pip --quiet --python $(VENV)/bin/python install pip 2>/dev/null; } \
	|| { rm -rf $(VENV); $(PYTHON) -m virtualenv --quiet $(VENV) 2>/dev/null; } \
	|| { rm -rf $(VENV); uv venv --quiet --seed --python $(PYTHON) $(VENV) 2>/dev/null; } \
	|| { rm -rf $(VENV); echo "No way to make a virtual environment with pip: install python3-venv (Debian, Ubuntu:" \
	     "apt install python3-venv), or pip, virtualenv or uv, and run make again." >&2; exit 1; }

$(STAMP): pyproject.toml | $(VENV)/bin/python
	@echo "installing into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[learn,dev]'
	@touch $@

# The key is in a file of its own from the first start on, so that this sample works as it stands.
define SAMPLE
once it is ready, try:
  curl localhost:$(PORT)/decide -H "X-API-Key: $$(cat $${RISKD_DATA_DIR:-data}/secrets/default-key)" \
    -H 'content-type: application/json' \
    -d '{"subject": {"id": "ada"}, "action": {"name": "login"}, "context": {"ip": "81.2.69.142"}}'
endef
export SAMPLE

run: $(STAMP)  ## serve on PORT (default 8000) with the embedded store; prints URL, key and a sample
	@echo "$$SAMPLE" >&2
	@RISKD_PORT=$(PORT) exec $(BIN)/riskd serve

check: $(STAMP)  ## format, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: $(STAMP)  ## all tests that need nothing but pip
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist loadfile -m 'not real'  # two processes fill two cores

test-real: $(STAMP)  ## tests on local clusters (Valkey, Spark) and real city data, and the soak (needs npm, Java)
	@command -v npm >/dev/null || { apt-get update -qq && apt-get install -y -qq npm >/dev/null; } \
	|| { echo "test-real fetches city data with npm, and cannot install it: install npm" >&2; exit 1; }
	@command -v java >/dev/null || { apt-get update -qq && apt-get install -y -qq default-jre-headless >/dev/null; } \
	|| { echo "test-real starts a Spark cluster, and cannot install Java for it: install a JRE, 17 or later" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[spark]'
	$(BIN)/python -m pytest -q -m real

bench: $(STAMP)  ## CPU and latency beside a bare FastAPI echo and a day's own service; writes bench/RESULTS.md
	$(BIN)/python bench/run.py

faults: $(STAMP)  ## fault cases with their latencies and slopes; writes bench/RESULTS.md
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'atheris>=3.0'
	$(BIN)/python bench/faults.py

clean:  ## remove the environment and caches; state under data/ stays
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage htmlcov
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
