# The two commands of the README: `make quickstart` and `make test`. Everything is installed into
# .venv, from the versions pinned in constraints.txt only.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# One process for each core. The tests of a file stay together, because they share what is costly to make; files with
# slow tests start first (tests/conftest.py), so that no core is idle in the end.
PYTEST := $(BIN)/python -m pytest -n logical --dist loadfile --no-loadscope-reorder
# A test that hangs ends the run after ten minutes, with the stacks of all threads. The longest takes less than one.
HANGS := -o faulthandler_timeout=600 -o faulthandler_exit_on_timeout=true --max-worker-restart=0
# What recrepro imports at run time, and what the pins are: a change of either means a new install.
INPUTS := pyproject.toml constraints.txt

.PHONY: quickstart test nightly check fast clean

quickstart: $(VENV)/quickstart.installed
	$(BIN)/recrepro run experiments/quickstart.toml

# What every push has to pass. The same examples each time, so that a failure can be repeated.
test: $(VENV)/dev.installed
	$(PYTEST) -m "not nightly" $(HANGS)

# What takes minutes for one test: random kills, sweeps of full disks, published values on real data, new
# environments; and all properties again, with 200 new examples each. Which guarantee is checked where: docs/testing.md.
nightly: $(VENV)/dev.installed
	RECREPRO_NO_CPU_LIMIT=1 $(PYTEST) -m "nightly or hypothesis" --hypothesis-profile nightly

# Without whole runs, servers, browsers and real data.
fast: $(VENV)/dev.installed
	$(PYTEST) -m "not slow and not realdata and not nightly"

check: $(VENV)/dev.installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/mypy baselines neural

clean:
	rm -rf $(VENV)

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14) and "recrepro needs Python 3.11, 3.12 or 3.13, but $(PYTHON) is " + sys.version.split()[0] + ": make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)

# The build backend is installed first and builds here, so that it is pinned like the rest.
$(VENV)/quickstart.installed: $(VENV)/bin/python $(INPUTS)
	@echo "Installing recrepro into $(VENV) (a few minutes the first time) ..."
	$(PIP) pip setuptools
	$(PIP) --no-build-isolation --editable .
	touch $@

$(VENV)/dev.installed: $(VENV)/quickstart.installed
	$(PIP) --no-build-isolation --editable '.[dev]'
	touch $@
