# The front door. Every target makes .venv from uv.lock by itself; needs python3 (3.11-3.13) with venv.

PYTHON ?= python3
UV_VERSION := 0.13.9
EXTRAS ?= dev
BIN := .venv/bin
RUN_PYTHON := $(BIN)/python
export UV_PYTHON_DOWNLOADS := never

.PHONY: test lint lock

STAMP := .venv/.$(subst $(eval ) ,-,$(sort $(EXTRAS)))

$(STAMP): uv.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || \
	  { echo "error: $(PYTHON) -m venv failed; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet uv==$(UV_VERSION)
	@$(BIN)/uv sync --quiet --frozen --inexact $(addprefix --extra ,$(EXTRAS))
	@touch $@

test: $(STAMP)
	$(RUN_PYTHON) -m pytest -n 2

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

lock: $(STAMP)
	$(BIN)/uv lock --upgrade
