# Two commands do everything on a fresh machine: make campaign, make test.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CAMPAIGN ?= workflow/campaigns/quickstart.yaml
STAMP := $(VENV)/.complete
WORKERS ?= 2
# A file stays in one worker: its fixtures are made once, and what starts MPI ranks follows each other.
PYTEST := pytest --numprocesses $(WORKERS) --dist loadfile
PEERS := .venv-peers
PEER_NAMES := mcising peapods dwave-samplers openjij pyalps
export PATH := $(CURDIR)/$(BIN):$(PATH)
export OMP_NUM_THREADS := 1
export OMP_WAIT_POLICY := PASSIVE

.PHONY: env campaign test campaigns quick lint bench bench-quick bench-page clean

env: $(STAMP)

$(STAMP): pyproject.toml envs/constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint envs/constraints.txt --editable '.[all]'
	touch $@

campaign: env
	snakemake --workflow-profile cluster/profiles/local --config campaign=$(CAMPAIGN)

test: env
	$(PYTEST) -m "not campaign"

campaigns: env
	pytest -m campaign tests/campaigns

quick: env
	$(PYTEST) -m "not slow and not slurm and not campaign and not mpi and not ddp and not workflow"

lint: env
	ruff check
	ruff format --check
	mypy
	lint-imports

# The peers live in an environment of their own; one that does not install is reported and left out.
$(PEERS)/.complete: envs/peers.txt
	$(PYTHON) -m venv $(PEERS)
	for peer in $(PEER_NAMES); do \
		$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --constraint envs/peers.txt $$peer \
			|| echo "$$peer: not installed"; \
	done
	touch $@

bench: env $(PEERS)/.complete
	python tests/bench/sampling.py --peers $(PEERS)/bin/python
	python tests/bench/loop.py
	$(MAKE) bench-page

bench-quick: env $(PEERS)/.complete
	python tests/bench/sampling.py --peers $(PEERS)/bin/python --quick

bench-page:
	$(PYTHON) tests/bench/table.py results/bench/sampling.json docs/bench.md

clean:
	rm -rf $(VENV) $(PEERS) results .snakemake
