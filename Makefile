# make run          the tracker and its sandbox, on this machine
# make test         all tests, on stores they start themselves
# make check        lint, format, types, layers
# make bench        the benchmarks, in less than ten minutes
# make bench-large  those that need millions of rows
# make torture      every attack on the seven promises, in full
# make screenshots  the pictures that the README opens with
# make schema       write sql/schema.sql anew from the migrations
# make clean        remove the environment and what tools left behind; no data

MAKEFLAGS += --no-print-directory

# The newest Python there is; one that is only a shim for another does not answer.
PYTHON := $(shell for name in python3.13 python3.12 python3.11 python3; do \
    $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
    && { command -v $$name; break; }; done)

# As root, the embedded Postgres runs as a user of its own and has to reach the
# environment. Where that would open a closed folder, or a home, to everybody, the
# environment goes elsewhere.
CLOSED := $(shell [ "$$(id -u)" = 0 ] || exit 0; folder='$(CURDIR)'; \
  while [ -n "$$folder" ]; do \
    case "$$folder" in (/root|/home) echo yes;; esac; \
    case "$$(ls -ld "$$folder")" in (d???r?[xs]r?[xt]*) ;; (*) echo yes;; esac; \
    folder=$${folder%/*}; \
  done)
ifneq ($(CLOSED),)
VENV := /var/lib/tracker/$(shell printf %s '$(CURDIR)' | cksum | cut -d ' ' -f 1)/venv
else
VENV := .venv
endif
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp

.PHONY: run test chromium check bench bench-large torture screenshots schema clean

run: $(STAMP)
	@exec $(BIN)/tracker up --sandbox

# Most tests run in two processes, each with stores of its own. What starts processes,
# drives a browser or asks how long something takes has the machine for itself.
ALONE := tests/running tests/torture tests/browser

test: $(STAMP) chromium
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile $(ALONE:%=--ignore=%)
	@$(BIN)/python -m pytest $(ALONE)

# The browser of the browser tests; where it cannot be had they are skipped.
chromium:
	@for name in chromium chromium-browser google-chrome google-chrome-stable; do \
	  command -v $$name > /dev/null && exit 0; done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
	  echo "Installing chromium, for the browser tests"; \
	  apt-get -qq update && DEBIAN_FRONTEND=noninteractive \
	  apt-get -qq install --no-install-recommends chromium fonts-dejavu-core \
	    > /dev/null && exit 0; fi; \
	echo "There is no Chromium here, so the browser tests are skipped:" \
	  "install one to run them." >&2

check: $(STAMP)
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/mypy --no-error-summary
	@PATH="$(BIN):$$PATH" $(BIN)/lint-imports --no-logo > $(VENV)/layers.log \
	  || { cat $(VENV)/layers.log; exit 1; }

bench: $(STAMP)
	@$(BIN)/python tests/bench

bench-large: $(STAMP)
	@$(BIN)/python tests/bench large

torture: $(STAMP)
	@$(BIN)/python tests/torture

screenshots: $(STAMP) chromium
	@PICTURES_OF_README=1 $(BIN)/python -m pytest -q tests/browser/test_pictures.py

schema: $(STAMP)
	@$(BIN)/python tests/schema.py > sql/schema.sql.new
	@mv sql/schema.sql.new sql/schema.sql

clean:
	@rm -rf $(VENV) dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	@rm -rf .hypothesis
	@find tracker tests -name __pycache__ -prune -exec rm -rf {} +

$(STAMP): pyproject.toml
	@test -n "$(PYTHON)" \
	  || { echo "Python 3.11 or newer is needed, and none was found." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null \
	  || { echo "$(PYTHON) cannot make virtual environments; on Debian and" \
	    "Ubuntu, install python3-venv." >&2; exit 1; }
	@echo "Setting up $(VENV) with $(PYTHON)"
	@umask 022 && mkdir -p $(dir $(VENV)) && $(PYTHON) -m venv $(VENV)
	@umask 022 && $(BIN)/python -m pip install -qq --disable-pip-version-check \
	  --editable '.[dev]'
	@touch $@
