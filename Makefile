PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RUN ?= runs/demo
DATA ?= synthetic
OPTIONS ?=
RECIPE ?= $(if $(filter synthetic,$(DATA)),demo,light)

.PHONY: demo test lint types check clean

demo: $(VENV)/.train  ## run the main job; DATA=folder for real images; RECIPE, RUN, OPTIONS to choose
	$(BIN)/lesionlens run $(RECIPE) --data "$(DATA)" --run "$(RUN)" $(OPTIONS)

test: $(VENV)/.dev  ## everything that needs no network and no GPU
	$(BIN)/python -m pytest

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

check: lint types test

clean:  ## remove the virtual environment and caches, never a run
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache

# torch comes first and by its exact version: where pip is offered both, it takes the build without CUDA.
$(VENV)/.torch: constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "LesionLens needs Python 3.11 or later; choose one with make PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	touch $@

$(VENV)/.train: $(VENV)/.torch pyproject.toml
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[train,export,compress]'
	touch $@

$(VENV)/.dev: $(VENV)/.train
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[train,export,compress,serve,dicom,heif,tensorboard,dev]'
	touch $@
