# Needs python3 (3.11 or later) and make; everything else goes into .venv/, with pip alone.
#
#   make demo                  start the example site, draw a picture, serve until Ctrl-C
#   make demo ONCE=1           end after the picture; also PROMPT= COUNT= SEED= PORT= HOST=
#   make test                  everything that has to hold
#   make bench                 measure the whole path; prints one JSON object
#   make clean                 remove .venv/ and what the demo and the tests left

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

PROMPT ?= a red apple on the beach
COUNT ?= 1
SEED ?= 7
HOST ?= 127.0.0.1
PORT ?= 8000
ONCE ?=
export PROMPT

.DEFAULT_GOAL := demo
.PHONY: demo test bench clean

# The prompt travels in the environment, so that quotes in it stay text.
demo: $(VENV)/.demo
	@exec $(BIN)/python manage.py ai_images_demo --host=$(HOST) --port=$(PORT) --count=$(COUNT) --seed=$(SEED) \
	  --prompt="$$PROMPT" $(if $(filter-out 0,$(ONCE)),--once)

test: $(VENV)/.test
	@mkdir -p var
	@sh .ci/chromium
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python -m pytest

bench: $(VENV)/.test
	@$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) var build dist test-results .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

$(VENV)/.demo $(VENV)/.test: $(VENV)/.%: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or later is needed: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV) \
	  || { echo "This Python cannot make environments. On Debian: apt-get install python3-venv"; exit 1; }
	@echo "Installing into $(VENV)/; the first time this takes some minutes." >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$*]'
	@touch $@
