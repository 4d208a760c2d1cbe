# make setup    the environment for `pyinfra` and `gpuhost`, in .venv
# make demo     one disposable host: from blank to verified, broken by hand and repaired
# make bench    how fast it is, compared with other tools (PARTS=loopback: one part): docs/performance.md
# make upstream the packaged apps from clones of their repositories: DIR=… [NAMES=…]: docs/systems.md
# make test     all tests except the matrix and the VM (make unit: the fast part; make test-all: all)
SHELL := /bin/sh
PYTHON ?= python3
BIN := .venv/bin
# Lab tests mostly wait. The tests of a file share its hosts, so each worker gets whole files.
WORKERS ?= 4
PYTEST := $(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: setup dev demo test unit lab test-all upstream lint docs lock bench clean

setup: .venv/.setup
dev: .venv/.dev

# Debian and Ubuntu leave ensurepip out of python3: without it a venv has no pip.
.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("gpuhost needs Python 3.10 or later, this is " + sys.version.split()[0] if sys.version_info < (3, 10) else 0)'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { \
	    echo "installing python3-venv (this Python has no ensurepip)"; \
	    sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	    $$sudo apt-get update -q && $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q python3-venv; }
	$(PYTHON) -m venv .venv

.venv/.setup: requirements.txt pyproject.toml .venv/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv/.dev: requirements-dev.txt .venv/.setup
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

demo: .venv/.dev
	@$(BIN)/python -m tests.lab.demo

# The tools that it is compared with have an environment of their own.
.venv-bench/.done: requirements-bench.txt .venv/bin/python
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bench.txt
	@touch $@

bench: .venv/.dev .venv-bench/.done
	@$(BIN)/python -m bench $(PARTS)

unit: .venv/.dev
	$(PYTEST) -m "not slow and not lab and not matrix and not vm" tests

test: .venv/.dev
	$(PYTEST) -m "not matrix and not vm" tests

test-all: .venv/.dev
	$(PYTEST) tests

upstream: .venv/.dev
	@$(BIN)/python -m tests.upstream $(DIR) $(NAMES)

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/shellcheck --shell=sh --severity=style $$(git ls-files 'gpuhost/*.sh' 'tests/*.sh')
	$(BIN)/python -m gpuhost.reference --check

docs: .venv/.setup
	$(BIN)/python -m gpuhost.reference

# Pins every dependency by hash, for Python 3.10 and later; the files name no package index.
lock: .venv/.dev
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile -q --universal --python-version 3.10 --generate-hashes --no-annotate --no-header --no-emit-index-url pyproject.toml --extra setup -o requirements.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.10 --generate-hashes --no-annotate --no-header --no-emit-index-url pyproject.toml --extra setup --extra dev -o requirements-dev.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.10 --generate-hashes --no-annotate --no-header --no-emit-index-url --group pyproject.toml:bench -o requirements-bench.txt

clean:
	rm -rf .venv .venv-bench build dist *.egg-info
