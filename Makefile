# Everything a person does here; `make` alone lists it.

VENV ?= .venv
PYTHON ?= python3.11
BIN := $(VENV)/bin
# On Linux elsewhere: TORCH_INDEX=<address of PyTorch's CPU wheels> gives the CPU build.
TORCH_INDEX ?=
TORCH := torch==2.13.0
# What keeps one core busy at most; the other tests start processes of their own and run one by one.
LIGHT := not slow and not faults and not browser and not endurance
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help run demo test test-quick test-endurance check lint types protos protos-check lock fuzz model-ptbxl bench bench-ingest bench-preprocess bench-scale-out bench-train bench-estimate bench-inference soak chart clean

help: ## list what can be done
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

run: $(VENV)/.run ## start the platform on this machine (DATA=folder PORT=8050)
	$(BIN)/exchangeai up --data $(or $(DATA),data) --port $(or $(PORT),8050)

demo: $(VENV)/.run ## the whole story on real labelled ECGs, headless (FULL=1 for all of PTB-XL when it is there)
	FULL=$(FULL) $(BIN)/python -m demo

test: $(VENV)/.dev $(VENV)/.browser check ## set up everything and pass all tests
	$(BIN)/python -m pytest -m "$(LIGHT)" -n 2 --dist loadfile $(PYTEST)
	$(BIN)/python -m pytest -m "(slow or faults or browser) and not endurance" $(PYTEST)

test-quick: $(VENV)/.dev $(VENV)/.browser ## tests without those that train, kill or take over ten seconds
	$(BIN)/python -m pytest -m "$(LIGHT)" -n 2 --dist loadfile $(PYTEST)

test-endurance: $(VENV)/.dev ## tests that take minutes each: kills, restarts and load over and over
	$(BIN)/python -m pytest -m endurance $(PYTEST)

check: lint types protos-check ## style, types, import rules, contracts

lint: $(VENV)/.dev ## style and import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/.dev ## types, strict for exchangeai and services
	$(BIN)/pyright

protos: $(VENV)/.dev ## make the stubs from protos/
	$(BIN)/python protos/generate.py

protos-check: $(VENV)/.dev ## stubs are fresh, contracts are linted and break nothing
	$(BIN)/python -m pytest -q tests/contract/test_protos.py

fuzz: $(VENV)/.dev ## read 10,000 damaged files of every format (FORMATS="edf wfdb" for some, MUTANTS=n)
	$(BIN)/python -m tests.fuzz $(FORMATS) --mutants $(or $(MUTANTS),10000)

model-ptbxl: $(VENV)/.run ## make the models of PTB-XL in models/ again (EXCHANGEAI_PTBXL: its folder; hours on a CPU)
	$(BIN)/python -m models --work $(or $(WORK),build/model-ptbxl)

bench-train: $(VENV)/.run ## measure the trainer against a bare PyTorch loop
	$(BIN)/python -m benchmarks.bench_train
	$(BIN)/python -m benchmarks.bench_train --architecture s4d --bf16

bench-estimate: $(VENV)/.run ## measure the time that presets promise, and what the search for a rate is worth, on real runs
	$(BIN)/python -m benchmarks.bench_estimate
	$(BIN)/python -m benchmarks.bench_learning_rate

bench: $(VENV)/.run ## measure the pipeline: recordings a second, share of time by stage
	$(BIN)/python -m benchmarks.bench_pipeline

bench-ingest: $(VENV)/.dev ## measure the readers against other libraries, on the same files in one run
	$(PIP) --no-deps --upgrade --target $(VENV)/peers -r benchmarks/peers.txt
	PYTHONPATH=$(VENV)/peers $(BIN)/python -m benchmarks.bench_ingest

bench-preprocess: $(VENV)/.dev ## measure filters, resampling and quality against other libraries, on one core
	$(PIP) --no-deps --upgrade --target $(VENV)/peers-preprocess -r benchmarks/peers-preprocess.txt
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 PYTHONPATH=$(VENV)/peers-preprocess \
	  $(BIN)/python -W ignore -m benchmarks.bench_preprocess

bench-scale-out: $(VENV)/.run ## measure what two preprocess workers do, as a ratio to what one does
	$(BIN)/python -m benchmarks.bench_scale_out

bench-inference: $(VENV)/.dev ## measure serving beside other servers with the same model, client and machine
	for peer in benchmarks/peers-inference/*.txt; do home=$(VENV)/peers-inference/$$(basename $$peer .txt); \
	  test -x $$home/bin/python || $(PYTHON) -m venv $$home; $$home/bin/python -m pip install -q -r $$peer || exit 1; done
	for model in ref null; do \
	  $(BIN)/python -m benchmarks.bench_inference --model $$model --peers $(VENV)/peers-inference || exit 1; done

soak: $(VENV)/.dev ## four times more requests than can be answered, for MINUTES (default: 10)
	$(BIN)/python -m benchmarks.soak_inference --minutes $(or $(MINUTES),10)

chart: $(VENV)/.dev ## render, lint and check the Helm chart
	$(BIN)/python -m pytest -q tests/contract/test_chart.py

lock: $(BIN)/python ## resolve the dependencies anew (needs uv)
	$(PIP) uv
	echo "$(TORCH) ; python_version < '3'" > $(VENV)/no-torch.txt
	$(BIN)/uv pip compile --quiet --no-header --generate-hashes --universal --python-version 3.11 \
	  --override $(VENV)/no-torch.txt pyproject.toml --extra dev --extra trainer --extra telemetry \
	  -o requirements-dev.lock
	$(BIN)/uv pip compile --quiet --no-header --generate-hashes --universal --python-version 3.11 \
	  --override $(VENV)/no-torch.txt --constraint requirements-dev.lock pyproject.toml --extra embedded \
	  --extra preprocess --extra trainer --extra inference --extra ui --extra demo --extra telemetry -o requirements.lock

clean: ## remove what was installed and made here; data stays
	rm -rf $(VENV) .tools .pytest_cache .ruff_cache *.egg-info

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# torch comes first and apart: its plain pin takes the CPU build where one is offered.
$(VENV)/.torch: | $(BIN)/python
	@echo "Installing PyTorch (once)"
	$(PIP) $(TORCH) $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))
	touch $@

$(VENV)/.run: requirements.lock pyproject.toml | $(VENV)/.torch
	@echo "Installing the platform (once)"
	$(PIP) --require-hashes -r requirements.lock
	$(PIP) --no-deps --no-build-isolation -e .
	touch $@

$(VENV)/.dev: requirements-dev.lock pyproject.toml | $(VENV)/.torch
	@echo "Installing the development tools (once)"
	$(PIP) --require-hashes -r requirements-dev.lock
	$(PIP) --no-deps --no-build-isolation -e .
	touch $@ $(VENV)/.run

# A browser for the browser tests; Debian's, because it needs no download of its own.
$(VENV)/.browser: | $(BIN)/python
	@command -v chromium >/dev/null || { echo "Installing Chromium for the browser tests"; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; }
	touch $@
