# Two commands do everything: `make run` and `make test`. Each sets up .venv first.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
UV     := $(BIN)/uv
EXTRAS := train tracking serve data kfp dev
# Where a CPU wheel of torch is at hand (pip's own find-links) take it; elsewhere let uv
# choose the build that fits this machine's accelerator.
TORCH  ?= $(if $(PIP_FIND_LINKS),--find-links $(PIP_FIND_LINKS),--torch-backend=auto)

.PHONY: help setup run test check bench lock clean

help:            ## Show these targets
	@grep -hE '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:.*## */\t/' | expand -t 12

setup: $(VENV)/.stamp  ## Make .venv from requirements.lock

$(VENV)/.stamp: pyproject.toml requirements.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Trefoil needs Python 3.11 or newer: make PYTHON=python3.12 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	test -x $(UV) || $(BIN)/python -m pip install --quiet uv==0.13.8
	$(UV) pip install --quiet --python $(BIN)/python --compile-bytecode $(TORCH) \
	    -r pyproject.toml $(addprefix --extra ,$(EXTRAS)) --constraints requirements.lock
	touch $@

run: setup       ## Train, evaluate, register and serve a VAE on handwritten digits
	$(BIN)/python -m pipelines.run $(ARGS)

test: setup      ## Run every test
	$(BIN)/python -m pytest $(ARGS)

check: setup     ## Lint, types, formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup     ## Measure against floors and peers (builds throw-away environments)
	$(BIN)/python -m tests.benchmarks $(ARGS)

# torch keeps its exact version but no hashes: its CPU and CUDA builds are different files.
lock:            ## Resolve requirements.lock anew from pyproject.toml
	$(UV) pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
	    --generate-hashes --no-annotate --no-header --upgrade --quiet --output-file requirements.lock
	$(BIN)/python -c 'import pathlib, re; p = pathlib.Path("requirements.lock"); p.write_text(re.sub(r"(?m)^(torch==\S+) .*\n(    --hash.*\n)+", r"\1\n", p.read_text()))'

clean:           ## Remove the environment, keep the workspace
	rm -rf $(VENV)
