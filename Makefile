# The few commands of this house. A fresh Debian 12 needs only python3, python3-venv, make and git.
#
#   make demo      the whole story on simulated lines, with its own broker; ends by itself
#   make test      everything that CI runs: lint, rules, services, real parts, a real kernel; seconds per stage
#   make lint      ruff, mypy, import contracts, catalogue
#   make bench     ratios against named rivals, in the same run
#   make nightly   the long forms
#   make .venv     what all of them stand on; a second run does nothing
#   make lock      requirements/*.in -> requirements/*.txt
#   make wheels    all that a box installs, into WHEELS (wheels/), for deploy.sh --wheels; BOX=aarch64 and BOX_PYTHON=3.13
#                  for a box of another kind
#
# PYTHON=... chooses another interpreter (3.11 or newer).

SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
LOCKS := $(addprefix requirements/,runtime.txt demo.txt dev.txt)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --only-binary :all: --require-hashes

.DEFAULT_GOAL := help
.PHONY: help .venv demo test lint style layout types imports catalogue bench nightly lock wheels clean

help:
	@sed -n '2,/^$$/s/^# \{0,1\}//p' Makefile

# --- .venv: one stamp a step, so that a change redoes only its own step

.venv: .venv/.models .venv/.portraits

.venv/.created:
	@$(PYTHON) -c 'import sys; sys.exit("Loumen needs Python 3.11 or newer; PYTHON=... names one" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	@touch $@

.venv/.locks: .venv/.created $(LOCKS) requirements/no-deps.txt requirements/rpi-lgpio.txt
	$(PIP) $(addprefix -r ,$(LOCKS))
	if $(BIN)/python -c 'import sys; sys.exit(sys.version_info >= (3, 13))'; then $(PIP) -r requirements/rpi-lgpio.txt; fi
	$(PIP) --no-deps --ignore-requires-python -r requirements/no-deps.txt
	@touch $@

# setuptools goes again: a box has none, so nothing here may lean on it.
.venv/.project: .venv/.locks pyproject.toml requirements/runtime.in requirements/build.txt
	$(PIP) -r requirements/build.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --config-settings editable_mode=compat --editable .
	$(BIN)/python -m pip uninstall --quiet --disable-pip-version-check --yes setuptools
	@touch $@

.venv/.models: .venv/.project gateway/vision/models.py models/manifest.toml
	$(BIN)/python -m gateway.vision.models prepare
	@touch $@

# A resident and a stranger for demo and tests: portraits in the source distribution of face_recognition.
.venv/.portraits: .venv/.project gateway/vision/demo_faces.py
	$(BIN)/python -m gateway.vision.demo_faces
	@touch $@

# What a rival needs to run; its model carrier is there already.
.venv/.rivals: .venv/.project requirements/bench.txt
	$(PIP) -r requirements/bench.txt
	@touch $@

# --- what people run

demo: .venv
	$(BIN)/loumen demo

test:
	@$(PYTHON) tests/stages.py

# One target a tool, so that `make -k lint` hears all of them.
lint: style layout types imports catalogue

style: .venv
	$(BIN)/ruff check .

layout: .venv
	$(BIN)/ruff format --check .

types: .venv
	$(BIN)/mypy

imports: .venv
	$(BIN)/lint-imports

catalogue: .venv
	$(BIN)/python -m gateway.locale.update --check

# Absolute figures fail nothing; a benchmark that breaks does, after the others have run.
bench: .venv .venv/.rivals
	@broken=; for file in $$(grep -l '__name__ == "__main__"' benchmarks/*.py); do \
	    echo; echo "=== $$file"; $(BIN)/python $$file || broken="$$broken $$file"; \
	done; test -z "$$broken" || { echo "broken:$$broken"; exit 1; }

nightly: .venv
	@$(PYTHON) tests/stages.py --nightly

lock:
	$(PYTHON) requirements/lock.py

WHEELS ?= wheels
BOX_PYTHON ?= 3.11
GLIBC := 2014 _2_17 _2_27 _2_28 _2_34
FOR_BOX = $(if $(BOX),--python-version $(BOX_PYTHON) $(foreach glibc,$(GLIBC),--platform manylinux$(glibc)_$(BOX)))
DOWNLOAD = $(BIN)/python -m pip download --quiet --disable-pip-version-check --no-input --only-binary :all: --no-deps \
    --require-hashes --dest $(WHEELS)

# The locks name everything, so nothing is resolved here (--no-deps).
wheels: .venv/.created
	$(DOWNLOAD) $(FOR_BOX) -r requirements/runtime.txt -r requirements/build.txt
	$(DOWNLOAD) $(FOR_BOX) --ignore-requires-python -r requirements/no-deps.txt
	@echo "$$(ls $(WHEELS)/*.whl | wc -l) wheels in $(WHEELS): sudo ./deploy.sh install --wheels $(WHEELS) ..."

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
