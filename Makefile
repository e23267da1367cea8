# Needs python3 (3.11 or later) and make; everything else goes into .venv/, with pip alone.
#
#   make demo                  start the example site, draw a picture, serve until Ctrl-C
#   make demo ONCE=1           end after the picture; also PROMPT= COUNT= SEED= PORT= HOST=
#   make demo CMS=1            the same with django CMS
#   make test                  everything that has to hold
#   make test-all              that, and the matrix of noxfile.py: Pythons, Djangos, django CMS, PostgreSQL and S3
#   make schema                write the API's OpenAPI schema anew
#   make bench                 measure the whole path; prints one JSON object
#   make clean                 remove .venv/ and what the demo and the tests left

PYTHON ?= python3
# djangocms-text takes django CMS for part of the site wherever it is installed, so that has an environment of its own.
CMS ?=
WITH_CMS := $(filter-out 0,$(CMS))
VENV := .venv$(if $(WITH_CMS),-cms)
BIN := $(VENV)/bin

PROMPT ?= a red apple on the beach
COUNT ?= 1
SEED ?= 7
HOST ?= 127.0.0.1
PORT ?= 8000
ONCE ?=
export PROMPT

# Files are handed out in their usual order, which has browsers and benchmarks well before the end; by the number of
# their tests, pytest-xdist's own order, those that take longest come last and scattered.
SPREAD := --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := demo
.PHONY: demo test test-all schema bench clean

# The prompt travels in the environment, so that quotes in it stay text.
demo: $(VENV)/.demo
	@exec env $(if $(WITH_CMS),DJANGO_SETTINGS_MODULE=project.settings_cms) $(BIN)/python manage.py ai_images_demo --host=$(HOST) --port=$(PORT) --count=$(COUNT) --seed=$(SEED) \
	  --prompt="$$PROMPT" $(if $(filter-out 0,$(ONCE)),--once)

test: $(VENV)/.test
	@mkdir -p var
	@sh .ci/chromium
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python -m pytest $(SPREAD)

test-all: test
	$(BIN)/nox

schema: $(VENV)/.test
	@$(BIN)/python manage.py shell --verbosity 0 --command "from project import openapi; openapi.write()"

bench: $(VENV)/.test
	@$(BIN)/python -m benchmarks

clean:
	rm -rf .venv .venv-cms .nox var build dist test-results .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

$(VENV)/.demo $(VENV)/.test: $(VENV)/.%: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or later is needed: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV) \
	  || { echo "This Python cannot make environments. On Debian: apt-get install python3-venv"; exit 1; }
	@echo "Installing into $(VENV)/; the first time this takes some minutes." >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$*]' $(if $(WITH_CMS),-e '.[cms]')
	@touch $@
