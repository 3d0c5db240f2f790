# cortex: `make run` trains and judges a model; `make test` runs every check. Both are quick the second time.
# Needs make and Python 3.11 or newer with venv; everything else is installed into .venv.

VENV   ?= .venv
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
             $$p -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
ARGS   ?=
BIN    := $(VENV)/bin
PIP     = $(BIN)/python -m pip --disable-pip-version-check -qq
TORCH  := $(shell grep '^torch==' constraints.txt)
DECLARED := settings.ini setup.py constraints.txt

.DEFAULT_GOAL := help
.PHONY: help run test train dev export docs clean

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile
	@echo '  options:    make run ARGS="--size nano --data simulated --minutes 15"   make test ARGS="-k artifacts"'

run: train ## train a small model from start to end and judge it (ARGS: options of `cortex run`)
	$(BIN)/cortex run $(ARGS)

test: dev ## run the notebooks and the tests (ARGS: options of pytest)
	$(BIN)/python -m pytest -q -n 2 tests $(ARGS)

export: dev ## write cortex/*.py from the notebooks and clean their metadata
	$(BIN)/nbdev_export
	$(BIN)/nbdev_clean

docs: dev ## write README.md and the documentation site in _docs
	$(BIN)/python -c "from cortex.docs import build_docs; print(build_docs())"

train: $(VENV)/.train
dev: $(VENV)/.dev

$(VENV)/.made:
	@test -n '$(PYTHON)' || { echo 'make: no Python >= 3.11 with venv found; install one or call make PYTHON=/path/to/python' >&2; exit 2; }
	@echo 'making the environment in $(VENV)'
	@$(PYTHON) -m venv $(VENV)
	@touch $@

# torch comes first and by its exact version: any other request may bring gigabytes of GPU libraries
$(VENV)/.train: $(VENV)/.made $(DECLARED)
	@echo 'installing the runtime (a few minutes the first time)'
	@$(PIP) install '$(TORCH)'
	@$(PIP) install -c constraints.txt -e '.[train]'
	@touch $@

$(VENV)/.dev: $(VENV)/.train
	@echo 'installing the development tools'
	@$(PIP) install -c constraints.txt -e '.[train,serve,bench,dev]'
	@touch $@

clean: ## delete generated documentation and caches (keeps .venv and runs)
	rm -rf _docs _proc build *.egg-info .pytest_cache
	find cortex nbs tests -name __pycache__ -o -name .ipynb_checkpoints | xargs rm -rf
