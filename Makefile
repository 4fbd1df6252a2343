# make demo, make test, make lint, make bench, make docs: each sets itself up, repeatably.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check install -q -c constraints.txt
# One thread per process: tests run in parallel, and default threads fight each other.
PINNED := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 \
          XLA_FLAGS="--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
# Most tests compile many programs that run for a moment: without optimisation, in half the time.
# Test files with STANDARD_PROGRAMS compile theirs as users do; some train for long, and a step of a
# program that is not optimised takes 3.5 times as long.
QUICK_FLAGS := --xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false \
               --xla_cpu_parallel_codegen_split_count=1
QUICK := $(subst XLA_FLAGS=",XLA_FLAGS="$(QUICK_FLAGS) ,$(PINNED))
PYTEST := $(BIN)/python -m pytest --dist worksteal
SOURCES := $(shell find src -name '*.py') pyproject.toml
STAMPS := $(VENV)/.stamps

.PHONY: demo test test-quick test-standard lint format bench goals bench-smoke docs dev wheel clean

demo: $(STAMPS)/demo
	$(BIN)/thetahat demo

# Both kinds at once, by three processes and two: quick tests wait for children, servers and browsers. Four
# took longer: at the end each of them drives a browser.
test:
	$(MAKE) -j 2 $(STAMPS)/browser $(STAMPS)/postgres $(STAMPS)/slurm $(STAMPS)/libraries wheel
	$(BIN)/python -m pip --disable-pip-version-check install -q --no-deps --force-reinstall dist/*.whl
	$(MAKE) -j 2 test-quick test-standard
	case $$(cat $(STAMPS)/quick $(STAMPS)/standard | tr -d '\n') in 00|05|50) ;; *) exit 1 ;; esac  # 5: no test

# Not in the background of a shell: there SIGINT is ignored, which tests send.
test-quick:
	$(QUICK) $(PYTEST) -n 3 --programs=quick $(PYTEST_ARGS); echo $$? >$(STAMPS)/quick

test-standard:
	$(PINNED) $(PYTEST) -n 2 --programs=standard $(PYTEST_ARGS) >$(STAMPS)/standard.log 2>&1; \
	echo $$? >$(STAMPS)/standard; cat $(STAMPS)/standard.log

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

# The goals of speed: a quarter of an hour on an idle machine.
goals: $(STAMPS)/bench
	$(BIN)/python -m benchmarks.goals --write

bench-smoke: $(STAMPS)/test $(STAMPS)/postgres
	$(PINNED) $(BIN)/python -m benchmarks.loops --smoke
	$(PINNED) $(BIN)/python -m benchmarks.store --smoke
	$(PINNED) $(BIN)/python -m benchmarks.search --smoke
	$(BIN)/python -m benchmarks.sweeps --smoke
	$(BIN)/python -m benchmarks.scale --smoke
	$(BIN)/python -m benchmarks.goals --table
	XLA_FLAGS=--xla_force_host_platform_device_count=2 $(BIN)/python -m benchmarks.gpu --smoke
	$(BIN)/python -m benchmarks.gpu.devices --smoke

docs: $(STAMPS)/test
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build
	@echo "open site/index.html"

dev: $(STAMPS)/lint
	$(PIP) -e '.[lint]'

wheel: $(STAMPS)/test $(SOURCES)
	rm -rf dist
	$(BIN)/python -m build --wheel --no-isolation -o dist . >/dev/null

clean:
	rm -rf $(VENV) dist build site

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	mkdir -p $(STAMPS)

$(STAMPS)/demo: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) -e '.[demo]'
	touch $@

# pip installs by one process, and needs a minute to find that what is pinned fits together: here two
# install halves of the pins as they are. What is missing after them (a pin of another system) follows.
$(STAMPS)/pins-%: $(BIN)/python constraints.txt
	awk '!/^#/ && NR % 2 == $*' constraints.txt >$@.txt
	-$(PIP) --no-compile --no-deps -r $@.txt
	touch $@

# Python compiles the modules that are imported, which are few of all.
$(STAMPS)/test: $(STAMPS)/pins-0 $(STAMPS)/pins-1 pyproject.toml
	$(PIP) --no-compile -e '.[test]'
	touch $@

# Else each process that runs tests would compile the modules that they import, at the same time; and
# each time anew where the environment says that Python writes no bytecode.
$(STAMPS)/bytecode: $(STAMPS)/test
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --collect-only -q >/dev/null || true  # the run reports errors
	touch $@

# The same for large libraries that only children of tests import.
$(STAMPS)/libraries: $(STAMPS)/bytecode tools/bytecode.py
	PYTHONDONTWRITEBYTECODE= $(BIN)/python tools/bytecode.py >/dev/null 2>&1 || true
	touch $@

# Tests of the page drive Chromium, those of the store a PostgreSQL server that they start. Where these
# cannot be installed from here the tests say so and are skipped, but never in CI. Tests take Chromium's
# headless shell where there is one: a page costs half, since each tab of Chromium itself has a window.
$(STAMPS)/browser: $(BIN)/python
	@if ! { command -v chromium && command -v chromium-headless-shell; } >/dev/null \
	  && command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  export DEBIAN_FRONTEND=noninteractive; apt-get update -qq && \
	  { apt-get install -y -qq --no-install-recommends chromium chromium-headless-shell fonts-dejavu-core || \
	  apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core; } >/dev/null || true; fi
	touch $@

# After Chromium: one apt-get at a time. Without the cluster that Debian makes of its own: no server runs beside those of the tests.
$(STAMPS)/postgres: $(STAMPS)/browser
	@if [ ! -d /usr/lib/postgresql ] && ! command -v postgres >/dev/null && command -v apt-get >/dev/null \
	  && [ "$$(id -u)" = 0 ]; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	  apt-get install -y -qq --no-install-recommends postgresql-common >/dev/null && \
	  sed -i 's/^#\?create_main_cluster.*/create_main_cluster = false/' \
	  /etc/postgresql-common/createcluster.conf && DEBIAN_FRONTEND=noninteractive \
	  apt-get install -y -qq --no-install-recommends postgresql iproute2 >/dev/null || true; fi
	touch $@

# Tests of thetahat launch start a cluster of two nodes in a network of its own. Without a configuration
# in /etc/slurm the services of these packages do not start.
$(STAMPS)/slurm: $(STAMPS)/postgres
	@if ! { command -v slurmctld && command -v slurmd && command -v sbatch && command -v munged; } >/dev/null \
	  && command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
	  --no-install-recommends slurmctld slurmd slurm-client munge >/dev/null || true; fi
	touch $@

$(STAMPS)/lint: $(STAMPS)/test
	$(PIP) --no-compile -e '.[lint]'
	touch $@

$(STAMPS)/bench: $(STAMPS)/test
	$(PIP) -e '.[bench]'
	touch $@
