# Every target works on a fresh clone: the virtual environment is built on demand.
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp
PORT ?= 8080
DASHBOARD_PORT ?= 8001

.DEFAULT_GOAL := help
.PHONY: help setup run test check bench clean

help: ## show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

setup: $(STAMP) ## build .venv with the locked versions

$(STAMP): pyproject.toml $(wildcard constraints/*.txt)
	@python=$$(for p in python3 python3.13 python3.12; do \
	    command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null \
	    && { echo $$p; break; }; done); \
	if [ -z "$$python" ]; then echo "llm-intercept needs Python 3.12 or newer: install it so that python3, python3.13 or python3.12 runs it." >&2; exit 1; fi; \
	version=$$($$python -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	lock=constraints/py$$version.txt; [ -f $$lock ] || lock=constraints/py3.13.txt; \
	echo "setting up .venv ($$($$python --version), $$lock)"; \
	[ -x $(BIN)/python ] || $$python -m venv $(VENV); \
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps -r $$lock && \
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

run: setup ## start proxy (:8080) and dashboard (:8001); no provider key needed
	@$(BIN)/llm-intercept up --port $(PORT) --dashboard-port $(DASHBOARD_PORT)

test: setup ## lint, types and all tests (installs chromium when it can)
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh tests/run

check: setup ## lint and types only
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

bench: setup ## measure against bare mitmproxy; table and JSON
	@$(BIN)/python -m bench

clean: ## remove .venv, caches and the development home
	rm -rf $(VENV) .home .pytest_cache .mypy_cache .ruff_cache dist build bench/results
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
