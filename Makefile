# Two commands for a fresh Debian/Ubuntu machine with Python 3.11 or newer: make run, make test.
PYTHON ?= python3
BIN := .venv/bin
BESIDE := --numprocesses auto --maxprocesses 4 --dist loadfile

.PHONY: run test check install lock format clean

run: .venv/installed ## open the window on the built-in person
	$(BIN)/expdiff demo

test: .venv/tested ## every test; brings EGL, Mesa and Xvfb or says how
	@scripts/system-packages
	@scripts/node-packages
	$(BIN)/python -m pytest --ignore=tests/viewer $(BESIDE)
	$(BIN)/python -m pytest tests/viewer $(BESIDE) # apart from the others: see tests/conftest.py

check: .venv/tested ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports

install: .venv/installed

lock: ## exact versions of what pyproject.toml declares; UPGRADE=1 for the newest of all
	PYTHON=$(PYTHON) scripts/lock

format: .venv/tested
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.venv/installed: pyproject.toml requirements.lock scripts/install
	PYTHON=$(PYTHON) scripts/install .
	touch $@

.venv/tested: .venv/installed
	PYTHON=$(PYTHON) scripts/install ".[test,check]"
	touch $@

clean:
	rm -rf .venv build *.egg-info
