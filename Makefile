# `make verify` and `make test` set up everything themselves, in .venv beside this file. GNU make.
# Paths are quoted and targets relative: the checkout may live in a folder with a space in its name.
# Commands go through `python -m`, which still works when that folder has been moved.
VENV := .venv
BIN := $(VENV)/bin
PIP := "$(BIN)/python" -m pip install --quiet --disable-pip-version-check
PYTEST_ARGS ?=

# The first Python that is new enough and able to make a virtual environment; `make PYTHON=…` names another.
USABLE := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	"$$p" -c '$(USABLE)' >/dev/null 2>&1 && echo "$$p" && break; done)

.PHONY: verify test lint docs bench clean

verify: $(VENV)/.installed
	@"$(BIN)/python" -m gradcheck run

test: $(VENV)/.tests-installed
	@"$(BIN)/python" -m pytest $(PYTEST_ARGS)

lint: $(VENV)/.lint-installed
	@"$(BIN)/python" -m ruff check .
	@"$(BIN)/python" -m mypy

docs: $(VENV)/.docs-installed
	@NO_MKDOCS_2_WARNING=1 "$(BIN)/python" -m mkdocs build --strict --quiet

bench: $(VENV)/.tests-installed
	@OMP_NUM_THREADS=1 "$(BIN)/python" -m benchmarks.performance_table

clean:
	rm -rf "$(VENV)"

# Each mark is written last, so an installation that was cut short is taken up again; a new pyproject.toml renews all.
$(VENV)/.installed: pyproject.toml
	@python="$(PYTHON)"; test -n "$$python" || { \
		echo "No Python 3.11 or later with the modules venv and ensurepip was found." >&2; \
		echo "Install one (Debian, Ubuntu: the packages python3 and python3-venv), or name it: make PYTHON=…" >&2; \
		exit 1; }; \
	echo "Setting up $(VENV) with $$python" && "$$python" -m venv "$(VENV)"
	@$(PIP) --editable .
	@touch "$@"

# --group is new in pip 25.1; Python 3.11 comes with an older one.
$(VENV)/.tests-installed: $(VENV)/.installed
	@$(PIP) "pip>=25.1"
	@$(PIP) --group test
	@touch "$@"

$(VENV)/.lint-installed: $(VENV)/.tests-installed
	@$(PIP) --group lint
	@touch "$@"

$(VENV)/.docs-installed: $(VENV)/.tests-installed
	@$(PIP) --group docs
	@touch "$@"
