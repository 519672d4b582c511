# Yanzhen. A fresh machine needs Python 3.11 or later with venv, and make; Node with npm adds the camera.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo $$p; break; }; done)
BIN := .venv/bin
STAMP := .venv/.stamp
JOBS ?= 2
PYTEST := $(BIN)/python -m pytest
SPREAD := -n $(JOBS) --dist loadgroup
ZXING := node_modules/zxing-wasm
WEIXIN := node_modules/weixin-js-sdk
MANY_MACHINES := tests/acceptance/many_machines/test_one_history.py
VENDOR := app/web/static/vendor
COMPILE := $(BIN)/uv pip compile pyproject.toml --no-config --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet

# A machine that forbids compiled modules lets each of the hundreds of processes of a test run compile all anew.
unexport PYTHONDONTWRITEBYTECODE

MADE_AT = $(shell git log -1 --format=%ct 2>/dev/null || echo 0)

.DEFAULT_GOAL := help
.PHONY: help setup run test lint format proof bench lock sbom wheel browser gateway promtool clean

help: ## say what each target does
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## make .venv with the locked packages and developer tools, and fetch the browser parts

$(STAMP): requirements/dev.lock pyproject.toml package.json package-lock.json
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or later was found: install one, or name it: make PYTHON=/path/to/python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { echo "Could not make .venv: install the venv module of $(PYTHON) (Debian: python3-venv)"; exit 1; }
	@echo "Installing the locked Python packages into .venv ..."
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@if command -v npm >/dev/null 2>&1; then \
		npm ci --ignore-scripts --no-audit --no-fund --silent && \
		mkdir -p $(VENDOR) && \
		cp $(ZXING)/dist/iife/reader/index.js $(VENDOR)/zxing-reader.js && \
		cp $(ZXING)/dist/reader/zxing_reader.wasm $(VENDOR)/zxing_reader.wasm && \
		cp $(ZXING)/LICENSE $(VENDOR)/zxing-wasm.LICENSE.txt && \
		cp $(WEIXIN)/index.js $(VENDOR)/weixin-js-sdk.js && \
		cp $(WEIXIN)/LICENSE $(VENDOR)/weixin-js-sdk.LICENSE.txt; \
	else \
		echo "Node is not installed: the page is whole without the camera scan (install Node and npm, then: make clean setup)."; \
	fi
	@touch $@

run: setup ## start a demonstration service at http://127.0.0.1:8315 and print codes to try
	@$(BIN)/yanzhen demo

test: setup browser gateway promtool lint ## check everything: lint, types, import rules and the whole test suite
	@test -f node_modules/axe-core/axe.min.js || { echo "The browser tests need axe-core from npm: install Node and npm, then: make clean test"; exit 1; }
	$(PYTEST) $(SPREAD) --all-harnesses -m "not alone"
	@# a second, serial run for tests that need both cores, only when there are any
	@if grep -rqE 'mark\.alone' tests --include='*.py'; then set -x; $(PYTEST) -m alone; fi

lint: setup ## ruff, formatting, mypy --strict, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup ## write the formatting and the safe fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

proof: setup browser gateway promtool ## what each harness proved, in long form (hours); PROOF_QUICK=1 for minutes
ifdef PROOF_QUICK
	$(PYTEST) $(SPREAD) --all-harnesses -m "not alone" tests/proof $(MANY_MACHINES)
else
	YANZHEN_TEST_BUDGET=long $(PYTEST) --timeout=14400 --all-harnesses $(SPREAD) -m "not alone"
	@if grep -rqE 'mark\.alone' tests --include='*.py'; then set -x; YANZHEN_TEST_BUDGET=long $(PYTEST) --timeout=14400 -m alone; fi
endif

bench: setup ## measure the ratios of docs/performance.md
	@$(BIN)/python -m tests.bench

lock: setup ## resolve the dependencies again (UPGRADE=--upgrade for newer versions)
	$(COMPILE) $(UPGRADE) -o requirements/runtime.lock
	$(COMPILE) $(UPGRADE) --group dev -o requirements/dev.lock
	npm install --package-lock-only --ignore-scripts --no-audit --no-fund
	npm ci --dry-run --ignore-scripts --no-audit --no-fund --silent  # the lock alone must be enough
	@! grep -nE '://|--(extra-)?index-url|--find-links|"resolved"' requirements/*.lock || { echo "A lock file names an address."; exit 1; }
	@! grep -n '"resolved"' package-lock.json || { echo "package-lock.json names an address."; exit 1; }

sbom: setup ## write dist/yanzhen.cdx.json, the bill of materials of what is installed and served
	@SOURCE_DATE_EPOCH=$(MADE_AT) $(BIN)/python tools/bill_of_materials.py dist/yanzhen.cdx.json

wheel: setup ## build dist/yanzhen-*.whl, byte for byte the same from the same commit
	@SOURCE_DATE_EPOCH=$(MADE_AT) $(BIN)/python -m hatchling build -t wheel

browser: ## make sure that a Chromium is there for the browser tests
	@tools/ensure_chromium.sh

gateway: ## make sure that a Kannel is there for the tests of text messages
	@tools/ensure_kannel.sh

promtool: ## make sure that promtool is there for the tests of alert rules
	@tools/ensure_promtool.sh

clean: ## remove what setup and tests made; never var/, which holds keys and records
	rm -rf .venv node_modules $(VENDOR) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find app channels tests -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
