# The two commands of the README set up everything themselves, in .venv beside this file.
# Paths are quoted because the checkout may live in a folder with a space in its name.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: verify test lint bench clean

verify: $(VENV)/.installed
	"$(BIN)/gradcheck" run

test: $(VENV)/.tests-installed
	"$(BIN)/python" -m pytest

lint: $(VENV)/.lint-installed
	"$(BIN)/ruff" check .
	"$(BIN)/mypy"

# Relative targets keep make away from the spaces of the absolute path. Rebuilt when pyproject.toml changes.
$(VENV)/.installed: pyproject.toml
	"$(PYTHON)" -m venv "$(VENV)"
	"$(BIN)/python" -m pip install --quiet --disable-pip-version-check --editable .
	touch "$@"

$(VENV)/.tests-installed: $(VENV)/.installed
	"$(BIN)/python" -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	"$(BIN)/python" -m pip install --quiet --disable-pip-version-check --group test
	touch "$@"

$(VENV)/.lint-installed: $(VENV)/.tests-installed
	"$(BIN)/python" -m pip install --quiet --disable-pip-version-check --group lint
	touch "$@"

bench: $(VENV)/.tests-installed
	OMP_NUM_THREADS=1 "$(BIN)/python" -m pytest benchmarks --benchmark-enable

clean:
	rm -rf "$(VENV)"
