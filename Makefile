# Two commands do everything on a fresh machine: make campaign, make test.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CAMPAIGN ?= workflow/campaigns/quickstart.yaml
STAMP := $(VENV)/.complete
export PATH := $(CURDIR)/$(BIN):$(PATH)
export OMP_NUM_THREADS := 1
export OMP_WAIT_POLICY := PASSIVE

.PHONY: env campaign test quick lint clean

env: $(STAMP)

$(STAMP): pyproject.toml envs/constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint envs/constraints.txt --editable '.[all]'
	touch $@

campaign: env
	snakemake --workflow-profile cluster/profiles/local --config campaign=$(CAMPAIGN)

test: env
	pytest -m "not slurm"

quick: env
	pytest -m "not slow and not slurm and not mpi and not ddp and not workflow"

lint: env
	ruff check
	ruff format --check
	mypy
	lint-imports

clean:
	rm -rf $(VENV) results .snakemake
