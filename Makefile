# make demo, make test, make lint, make bench, make docs: each sets itself up, repeatably.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check install -q -c constraints.txt
# One thread per process: tests run in parallel, and default threads fight each other.
PINNED := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 \
          XLA_FLAGS="--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
SOURCES := $(shell find src -name '*.py') pyproject.toml
STAMPS := $(VENV)/.stamps

.PHONY: demo test lint format bench bench-smoke docs dev wheel clean

demo: $(STAMPS)/demo
	$(BIN)/thetahat demo

test: $(STAMPS)/test $(STAMPS)/chromium wheel
	$(BIN)/python -m pip --disable-pip-version-check install -q --no-deps --force-reinstall dist/*.whl
	$(PINNED) $(BIN)/python -m pytest -n 2 --dist worksteal $(PYTEST_ARGS)

lint: $(STAMPS)/lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python tools/words.py
	$(BIN)/python tools/tree.py --check
	$(BIN)/pyright

format: $(STAMPS)/lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMPS)/bench
	$(PINNED) $(BIN)/python -m benchmarks.loops --write
	$(PINNED) $(BIN)/python -m benchmarks.store --write
	$(PINNED) $(BIN)/python -m benchmarks.search --write
	$(PINNED) $(BIN)/python -m benchmarks.tables --write
	$(BIN)/python -m benchmarks.sweeps --write
	$(BIN)/python -m benchmarks.web --write
	$(BIN)/python -m benchmarks.startup --write
	$(PINNED) $(BIN)/python -m benchmarks.fits --write

bench-smoke: $(STAMPS)/test
	$(PINNED) $(BIN)/python -m benchmarks.loops --smoke
	$(PINNED) $(BIN)/python -m benchmarks.store --smoke
	$(PINNED) $(BIN)/python -m benchmarks.search --smoke
	$(BIN)/python -m benchmarks.sweeps --smoke
	XLA_FLAGS=--xla_force_host_platform_device_count=2 $(BIN)/python -m benchmarks.gpu --smoke

docs: $(STAMPS)/test
	$(BIN)/python docs/build.py

dev: $(STAMPS)/lint
	$(PIP) -e '.[lint]'

wheel: $(STAMPS)/test $(SOURCES)
	rm -rf dist
	$(BIN)/python -m build --wheel --no-isolation -o dist . >/dev/null

clean:
	rm -rf $(VENV) dist build site

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(PIP) pip
	mkdir -p $(STAMPS)

$(STAMPS)/demo: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) -e '.[demo]'
	touch $@

$(STAMPS)/test: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) -e '.[test]'
	touch $@

# Tests of the page drive Chromium. Where it cannot be installed from here they say so and are skipped,
# but never in CI.
$(STAMPS)/chromium: $(BIN)/python
	@if ! command -v chromium >/dev/null && command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	  apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null || true; fi
	touch $@

$(STAMPS)/lint: $(STAMPS)/test
	$(PIP) -e '.[lint]'
	touch $@

$(STAMPS)/bench: $(STAMPS)/test
	$(PIP) -e '.[bench]'
	touch $@
