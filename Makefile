# Each target sets up what it needs, inside this folder: .venv, node_modules, build, .yui.
# Another interpreter: make PYTHON=/path/to/python3 ...

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint unit contracts fuzz mutants gas bench deploy geth network-test openapi-test \
	trial-geth debian abi lock clean
MAKEFLAGS += --no-print-directory
export PYTHON

BIN := .venv/bin
WITH_TOOLS := deploy/with-tools
SOURCES := $(shell find contracts -name '*.sol' 2>/dev/null) brownie-config.yaml
TESTED := --ignore=tests/contracts
SLOTS ?= 100000
# Thousands of slots: measuring coverage there would double its time.
TWIN := tests/unit/test_twin.py

help: ## Say what there is
	@echo "Yui: public buildings trade surplus solar electricity."
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18
	@echo
	@echo "Python 3.11 or newer and Node 20 or newer are all it needs; it keeps to this folder."

setup: .venv/ready node_modules/ready ## Fetch the locked packages; done by the others as well

.venv/ready: requirements.lock pyproject.toml
	@deploy/setup.sh python

node_modules/ready: package-lock.json package.json
	@deploy/setup.sh node

demo: setup build/compiled ## A day of seven offices; ARGS="--day 2019-06-04 --language ja" and so on
	@$(BIN)/yui demo $(ARGS)

test: lint unit contracts ## Style, types and all tests

lint: .venv/ready build/analysed ## Style and types, and what slither says of the contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy

unit: setup build/compiled trial-geth debian ## All tests but those that run the contracts under brownie; ARGS for pytest
	@$(BIN)/pytest --numprocesses auto --dist loadfile $(TESTED) --ignore=$(TWIN) --cov --cov-report=term:skip-covered $(ARGS)
	@$(BIN)/pytest --numprocesses auto $(TWIN)

contracts: build/compiled ## The tests that run the contracts under brownie
	@if ls tests/contracts/test_*.py >/dev/null 2>&1; then \
		$(WITH_TOOLS) pytest -p pytest-brownie tests/contracts $(ARGS); \
	else \
		echo "tests/contracts holds no tests"; \
	fi

fuzz: setup ## A hundred thousand generated slots through contract and twin; SLOTS=... for more
	@YUI_TWIN_SLOTS=$(SLOTS) $(BIN)/pytest --numprocesses auto $(TWIN)

mutants: setup ## Break the contracts line by line, and see whether the tests notice; 15 minutes
	@$(BIN)/python -m tests.mutants $(ARGS)

openapi-test: setup ## Ask every address of the pages' data all that its description allows, by schemathesis
	@$(BIN)/python -m tests.schemas $(ARGS)

gas: setup ## Write the gas of each step anew, for a review to see
	@YUI_GAS_SNAPSHOT=1 $(BIN)/pytest -q tests/services/test_gas.py

bench: setup ## Say what there is to measure; ARGS="gas --json FILE" measures it
	@$(BIN)/python -m bench $(ARGS)

deploy: build/compiled ## Deploy the contracts to the chain at RPC=http://host:port, or of NETWORK=folder
	@test -n "$(RPC)$(NETWORK)" || { echo "make deploy needs the chain: RPC=http://host:port or NETWORK=folder"; exit 1; }
	@YUI_RPC_URL="$(RPC)" YUI_NETWORK="$(NETWORK)" $(WITH_TOOLS) python deploy/deploy.py

geth: .venv/ready ## Build the validators' client, and the one for trials, with Go; once
	@$(BIN)/python -m chain.network.client
	@$(BIN)/python -m chain.network.client --trial

network-test: setup trial-geth ## Seven validators: faults, load, what one can execute; ARGS="--json FILE"
	@$(BIN)/python -m bench network $(ARGS)

# Without Go the tests that need it are skipped, and say so.
trial-geth: .venv/ready
	@if command -v go >/dev/null; then $(BIN)/python -m chain.network.client --trial >/dev/null; fi

# What some tests need beside: a database, a broker, a browser.
debian:
	@deploy/setup.sh debian

# Half a minute, so only when a contract has changed; what may stay is said in docs/ledger.md.
build/analysed: $(SOURCES) foundry.toml slither.config.json .venv/ready node_modules/ready
	@echo "slither reads the contracts ..."
	@mkdir -p build
	@$(WITH_TOOLS) slither . >build/slither.txt 2>&1 || { cat build/slither.txt; exit 1; }
	@touch $@

# Brownie does not see changes in files that hold only types or free functions: compile all.
build/compiled: $(SOURCES) .venv/ready node_modules/ready
	@$(WITH_TOOLS) brownie compile --all
	@touch $@

abi: build/compiled ## Compile, and write chain/abi/ and docs/contracts.md for those who have no compiler
	@$(WITH_TOOLS) python deploy/export_abi.py
	@$(WITH_TOOLS) python deploy/contracts_page.py

lock: .venv/ready ## Choose the newest packages that pyproject.toml and package.json allow
	@env -u PIP_FIND_LINKS -u PIP_INDEX_URL CUSTOM_COMPILE_COMMAND="make lock" \
		$(BIN)/pip-compile --quiet --upgrade --all-extras --allow-unsafe --strip-extras \
		--generate-hashes --no-emit-index-url --no-emit-find-links \
		--output-file=requirements.lock pyproject.toml
	@npm install --package-lock-only --ignore-scripts --loglevel=error

clean: ## Remove all that was fetched, compiled or left behind
	@rm -rf .venv node_modules build dist .yui .hypothesis .coverage *.egg-info \
		.mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
