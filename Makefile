# Two commands do everything: `make run` and `make test`. Each sets up .venv first.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
UV     := $(BIN)/uv
# What a run on this machine needs, and what all the others do.
HERE   := train tracking serve data kfp
EXTRAS := $(HERE) aws sagemaker gcp azure rehearse dev
ROOMS  := pipelines components infra training
# Where a CPU wheel of torch is at hand (pip's own find-links) take it; elsewhere let uv
# choose the build that fits this machine's accelerator.
TORCH  ?= $(if $(PIP_FIND_LINKS),--find-links $(PIP_FIND_LINKS),--torch-backend=auto)

# A stamp without a Python that starts (moved, upgraded away) would hide that .venv is broken.
$(shell $(BIN)/python -c '' 2>/dev/null || rm -f $(VENV)/.all $(VENV)/.here)

.PHONY: help setup run test check bench lock clean

help:            ## Show these targets
	@sed -nE 's/^([a-z]+):.*## (.*)/\1\t\2/p' Makefile | expand -t 10

setup: $(VENV)/.all   ## Make .venv from requirements.lock, with the SDKs of every cloud
	@$(BIN)/python -m compileall -q $(ROOMS)

$(VENV)/.all: EXTRA = $(EXTRAS)
$(VENV)/.here: EXTRA = $(HERE)
$(VENV)/.all $(VENV)/.here: pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Trefoil needs Python 3.11 or newer; point to one with: make PYTHON=...")'
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { rm -rf $(VENV); $(PYTHON) -m venv $(VENV); }
	@$(UV) --version >/dev/null 2>&1 || $(BIN)/python -m pip install --quiet uv==0.13.8
	$(UV) pip install --quiet --python $(BIN)/python --compile-bytecode $(TORCH) \
	    -r pyproject.toml $(addprefix --extra ,$(EXTRA)) --constraints requirements.lock
	@touch $@ $(VENV)/.here

run: $(VENV)/.here  ## Train, judge, register and serve a VAE on handwritten digits
	@$(BIN)/python -m compileall -q $(ROOMS)
	$(BIN)/python -m pipelines.run $(ARGS)

test: setup      ## Run every test
	$(BIN)/python -m pytest $(ARGS)

check: setup     ## Lint, formatting, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup     ## Measure against floors and peers (builds throw-away environments)
	$(BIN)/python -m tests.benchmarks $(ARGS)

# torch keeps its exact version but no hashes: its CPU and CUDA builds are different files.
lock:            ## Resolve requirements.lock from pyproject.toml, keeping the pins that still fit
	$(UV) pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
	    --generate-hashes --no-annotate --no-header --quiet --output-file requirements.lock
	$(BIN)/python -c 'import pathlib, re; p = pathlib.Path("requirements.lock"); p.write_text(re.sub(r"(?m)^(torch==\S+) .*\n(    --hash.*\n)+", r"\1\n", p.read_text()))'

clean:           ## Remove the environment, keep the workspace
	rm -rf $(VENV)
