# Everything starts here: `make demo` or `make test` on a fresh clone does the whole of it.

PYTHON ?= python3
VENV ?= .venv
# More arguments for pip, say --extra-index-url with PyTorch's CPU wheels.
PIP_ARGS ?=
JOBS ?= 2
PYTEST_ARGS ?=
CONFIG ?= unsct_hrnet_tha.py
INPUT ?= configs/demo/phantom_example.dcm
DATA ?=
# MMPose's versions for check-host; 'here' is this environment.
HOSTS ?= 1.3.2
RECORD ?=
# Cells of the matrix, such as '3.11*numpy-2*'.
CELLS ?= *
# More arguments for tools/torture.py, say --seeds FOLDER or --mutants 1000.
TORTURE_ARGS ?=

PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
REQUIREMENTS := $(wildcard requirements/*.txt)
PIP := $(PY) -m pip install --quiet --disable-pip-version-check --prefer-binary $(PIP_ARGS)

.DEFAULT_GOAL := help
.PHONY: help setup predict demo demo-full test test-browser check format benchmark performance check-host check-tools matrix audit torture clean

help:
	@echo 'make predict     set up, read a bundled simulated radiograph, write a report   (1 min)'
	@echo 'make demo        set up, simulate radiographs, train, test, print a table    (5 min)'
	@echo 'make demo-full   the same, always from random weights                       (12 min)'
	@echo 'make test        set up, run the tests                                       (5 min)'
	@echo 'make test-browser  the served page in a real Chromium, where there is one  (2 min)'
	@echo 'make setup       create $(VENV) with pinned requirements                     (2 min)'
	@echo 'make check       ruff, mypy below the adapters, import-linter                (1 min)'
	@echo 'make format      rewrite the sources as make check wants them'
	@echo 'make benchmark   cost of a training step against the plain MMPose model'
	@echo 'make performance  measure what docs/results/performance.md says, write it   (12 min)'
	@echo 'make check-host  the wheel in a stock MMPose: every stock tool and option   (15 min)'
	@echo 'make check-tools a part of that in this environment                          (2 min)'
	@echo 'make matrix      MMPose, NumPy, PyTorch and Python in all combinations         (1 hour)'
	@echo 'make audit       pins, hashes and licences of what is installed              (10 s)'
	@echo 'make torture     corpus, mutants, json, kills, signals, full disks; the page of it   (100 min)'
	@echo 'make clean       remove $(VENV), caches and build products; work_dirs and data stay'
	@echo
	@echo 'Times are for 2 cores. PYTHON=python3.11 and VENV=/some/where choose the interpreter'
	@echo 'and the environment; PIP_ARGS is handed to pip; PYTEST_ARGS to pytest, JOBS processes.'

setup: $(STAMP)

$(PY):
	@$(PYTHON) -c "import sys; v = sys.version_info[:2]; (3, 10) <= v <= (3, 12) or sys.exit( \
		'Python 3.10 to 3.12 is needed and $(PYTHON) is %d.%d: give PYTHON=...' % v)"
	$(PYTHON) -m venv $(VENV)

$(STAMP): $(REQUIREMENTS) setup.py | $(PY)
	@echo 'Setting up $(VENV): about two minutes, more where PyTorch must be downloaded'
	$(PIP) --upgrade pip
	$(PIP) -r requirements/base.txt -r requirements/dev.txt -c requirements/constraints.txt
	$(PIP) --no-deps -r requirements/mmpose.txt
	$(PIP) --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

predict: $(STAMP)
	$(VENV)/bin/unsct predict configs/demo/unsct_hrnet_tha_cpu.py configs/demo/unsct_hrnet_tha_cpu.pth $(INPUT) --out work_dirs/predict
	@echo 'open work_dirs/predict/report.html'

demo: $(STAMP)
	$(PY) tools/demo.py

demo-full: $(STAMP)
	$(PY) tools/demo.py --full

test: $(STAMP)
	$(PY) -m pytest -n $(JOBS) --dist worksteal --durations=10 --ignore=tests/browser $(PYTEST_ARGS)

test-browser: $(STAMP)
	$(PY) -m pytest -n 0 tests/browser

check: $(STAMP)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports

format: $(STAMP)
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

benchmark: $(STAMP)
	$(PY) tools/benchmark.py step

performance: $(STAMP)
	$(PY) tools/benchmark.py all docs/results

check-host: $(STAMP)
	$(PY) .ci/check_host.py --hosts $(HOSTS) --pip-args='$(PIP_ARGS)' --config '$(CONFIG)' --data '$(DATA)' $(if $(RECORD),--record)

check-tools: $(STAMP)
	$(PY) .ci/check_host.py --hosts here --slice

matrix: $(STAMP)
	$(PY) .ci/matrix.py --here --cells '$(CELLS)' --pip-args='$(PIP_ARGS)'
	$(PY) .ci/matrix.py --page

audit: $(STAMP)
	$(PY) .ci/audit.py

torture: $(STAMP)
	$(PY) -W ignore tools/torture.py --out docs/results/reliability/torture.json $(TORTURE_ARGS)
	$(PY) tools/results.py page docs/results

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
