# `make` lists what there is to do. Everything happens in .venv, in this folder.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PY := .venv/bin/python
READY := .venv/ready
SAMPLE := build/licences
GOAL ?= Which of these licences require keeping the copyright notice, and which grant patent rights?
MODEL ?= offline/extractive
ARGS ?=
export GOAL MODEL
ifneq (,$(filter C POSIX,$(LC_ALL)))
# With LC_ALL=C, Python does not start in a folder whose name is not ASCII.
export LC_ALL := C.UTF-8
endif

.PHONY: help setup run test lint format bench docs lock clean

help: ## List the targets
	@grep -E '^[a-z]+:.*## ' Makefile | sed -E 's/:.*## /:/' | awk -F: '{ printf "  make %-8s %s\n", $$1, $$2 }'
	@echo
	@echo '  make run GOAL="…" MODEL=ollama/qwen3 asks something else, or another model;'
	@echo '  make test ARGS="tests/models -k retry" runs some of the tests.'

setup: $(READY) ## Make .venv with everything at the locked versions

run: $(READY) ## Ask the research crew about the licences of the packages in .venv; no network, no key
	@$(PY) .ci/collect_licences.py $(SAMPLE)
	@$(PY) -m crewmix run research "$$GOAL" --knowledge $(SAMPLE) --model "$$MODEL" $(ARGS)

test: $(READY) ## Run the tests; they need no network and no key
	@$(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder --inline-snapshot=disable $(ARGS)

lint: $(READY) ## Check style, types and spelling
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m pyright
	@$(PY) -m codespell_lib

format: $(READY) ## Put the code into shape
	@$(PY) -m ruff check --fix-only .
	@$(PY) -m ruff format .

bench: $(READY) ## Measure; the figures in docs/performance.md come from here
	@$(PY) -m bench $(ARGS)

docs: $(READY) ## Run every code block and command of README.md and docs/
	@$(PY) -m pytest tests/project/test_docs.py tests/library $(ARGS)

lock: $(READY) ## Remake requirements.lock from pyproject.toml (needs a package index)
	@$(PY) -m uv lock --quiet --upgrade
	@$(PY) -m uv export --quiet --all-groups --no-emit-project --no-annotate --no-header --output-file requirements.lock
	@rm -f uv.lock
	@grep -c '==' requirements.lock | sed 's/$$/ packages locked/'

clean: ## Remove .venv and everything made by tools; runs in .crewmix stay
	rm -rf .venv build dist .pytest_cache .ruff_cache .hypothesis
	find src tests tools -name __pycache__ -prune -exec rm -rf {} +

$(READY): requirements.lock pyproject.toml .ci/setup
	@.ci/setup
	@touch $@
