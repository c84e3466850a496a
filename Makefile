# Two commands for a newcomer: `make demo` and `make test`. Both set themselves up.
# `make check` runs what CI runs; `make bench` runs the slow comparisons.

PYTHON ?= python3
VENV   ?= .venv
# Pinned, because an unpinned torch pulls gigabytes of CUDA packages onto machines that have no GPU.
TORCH  ?= torch==2.13.0
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export TOKENIZERS_PARALLELISM := false

.PHONY: help setup demo test check format bench clean
help:
	@echo "make demo    learn from the shipped calls, print ladder and certificate, write demo/support/report.html"
	@echo "make test    run the tests"
	@echo "make check   everything that CI checks: format, lint, types, import contracts, docs, tests"
	@echo "make bench   the slow comparisons with other tools (needs recorded calls beside the project)"

setup: $(READY)
$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Understudy needs Python 3.11 or newer; set PYTHON=..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) (once; a minute or two) ..."
	@$(BIN)/python -m pip install --quiet "$(TORCH)" 2>&1 | grep -v WARNING || true
	@$(BIN)/python -m pip install --quiet --editable ".[learn,offline,dev]" 2>&1 | grep -v WARNING || true
	@$(BIN)/python -c 'import torch, onnxruntime, understudy'
	@touch $(READY)

# The example's log records no cost; the price is an assumption, so that the demo can show a break-even.
demo: $(READY)
	$(BIN)/understudy inspect examples/support/calls.jsonl --task examples/support/task.toml
	$(BIN)/understudy learn examples/support/calls.jsonl --task examples/support/task.toml --out demo/support --rungs linear,frozen --target 0.9 --of all --teacher-price 0.002
	@echo
	@echo "Try it:"
	@echo "  echo '\"Where on earth is my parcel? LK-204417 was due on Monday\"' | $(BIN)/understudy answer demo/support"
	@echo "  open demo/support/report.html"

test: $(READY)
	$(BIN)/python -m pytest

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest --cov --cov-report=term:skip-covered

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY)
	$(BIN)/python benchmarks/certificate_validity.py
	$(BIN)/python benchmarks/ladder.py
	$(BIN)/python benchmarks/serving.py
	$(BIN)/python benchmarks/answering.py
	$(BIN)/python benchmarks/scaling_fits.py
	$(BIN)/python benchmarks/roofline_cpu.py
	$(BIN)/python benchmarks/losses.py
	$(BIN)/python benchmarks/soak.py

clean:
	rm -rf demo .understudy-cache .mypy_cache .ruff_cache .coverage .import_linter_cache
