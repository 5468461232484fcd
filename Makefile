# Chinwag. `make help` lists the targets.
SHELL := /bin/sh
ROOT := $(CURDIR)
VENV := $(ROOT)/.venv
PY := $(VENV)/bin/python
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Given as arguments or as environment variables: `make run MODEL=tiny`, `MODEL=tiny make run`.
export MODEL ENGINE MODEL_URL MODEL_NAME MODEL_KEY_FILE DATABASE_URL REDIS_URL PORT SKIP_BROWSER

# The first Python of 3.11 to 3.14 that can make an environment; PYTHON= overrides.
FIND_PYTHON = \
	good='import sys, ensurepip, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))'; found=; \
	for candidate in $(if $(PYTHON),"$(PYTHON)",python3.11 python3.12 python3.13 python3.14 python3 python); do \
		if "$$candidate" -c "$$good" >/dev/null 2>&1; then found=$$candidate; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
		echo "Cannot install: $(if $(PYTHON),$(PYTHON) is not a Python 3.11 to 3.14 with venv: give another with PYTHON=,no Python 3.11 to 3.14 with venv on the path: install one (Debian: apt install python3 python3-venv)$(comma) or give it with PYTHON=/path/to/python3)" >&2; \
		exit 2; \
	fi
comma := ,

.PHONY: help install install-test install-engine run test test-engine unit faults faults-long lint types bench migrate revision stop reset doctor

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "make run takes MODEL=small | good | better | best | tiny | MODEL=path/to/file.gguf | MODEL=hf:owner/repo/file.gguf | MODEL_URL=https://.../v1 MODEL_NAME=..."
	@echo "(MODEL_KEY_FILE=file), VOICE=off, ENGINE=vllm (real vLLM on the CPU, 3.5 GB), DATABASE_URL=, REDIS_URL=, PORT=; make install takes PYTHON="

install: ## Make .venv from requirements.lock
	@$(FIND_PYTHON); exec "$$found" -I "$(ROOT)/chinwag/local/install.py"

install-test: ## Make .venv with the test tools too
	@$(FIND_PYTHON); exec "$$found" -I "$(ROOT)/chinwag/local/install.py" --test

install-engine: ## Make .venv-engine: real vLLM for CPUs, 3.5 GB
	@$(FIND_PYTHON); exec "$$found" -I "$(ROOT)/chinwag/local/install_engine.py"

run: install ## Start everything: Postgres, Redis, model, web, worker; prints the address of the chat page
	@exec "$(PY)" -m chinwag run --with-parent

test: install-test ## All tests except those on real vLLM, with real Postgres, Redis and processes; prints one line of progress per suite
	@exec "$(PY)" -m tests.run

test-engine: install-test ## The tests on real vLLM: tiny Llama 4, DeepSeek, Gemma, Mistral; expert parallelism on two ranks
	@exec "$(PY)" -m tests.run engine

unit: install-test ## The tests that need no sockets
	@exec "$(PY)" -m tests.run unit

faults: install-test ## The tests that kill and freeze processes and cut connections
	@exec "$(PY)" -m tests.run faults

faults-long: install-test ## The fault tests that take too long for make test
	@exec "$(PY)" -m tests.run faults-long

lint: install-test ## ruff's rules and format, and which package may import which
	@"$(PY)" -m ruff check . && "$(PY)" -m ruff format --check . && "$(VENV)/bin/lint-imports"

types: install-test ## pyright, strict
	@exec "$(PY)" -m pyright

bench: install-test ## Measure everything, which takes long, and write bench/results and docs/benchmarks.md
	@exec "$(PY)" -m bench

migrate: install ## Bring the running stack's database up to date
	@exec "$(PY)" -m chinwag migrate

revision: install ## Write the next migration from what changed in bots/storage/sql: NAME="what it does"
	@exec "$(PY)" -m migrations.new "$(NAME)"

doctor: install ## Check what `make run` needs
	@exec "$(PY)" -m chinwag doctor

stop: ## Stop the running stack of this checkout
	@if [ -x "$(PY)" ]; then exec "$(PY)" -m chinwag stop; else echo "Nothing runs: there is no .venv yet."; fi

reset: ## Remove this checkout's data; asks first
	@if [ -x "$(PY)" ]; then exec "$(PY)" -m chinwag reset; else echo "Nothing to remove: there is no .venv yet."; fi
