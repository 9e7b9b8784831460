# make demo | make test: both install what they need into .venv first (scripts/environment.sh).

# An environment that the caller is in must not leak into ours.
unexport VIRTUAL_ENV PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE

PYTHON := .venv/bin/python
INSTALLED := .venv/.installed

.PHONY: help demo test test-slow lint ruff format lock clean
.DEFAULT_GOAL := help

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12

demo: $(INSTALLED) ## onboard the four example domains and talk to a real Rasa bot
	@$(PYTHON) demo/run.py

# mypy uses one core: it runs beside the tests, and its whole report stands below theirs.
test: ruff ## ruff, mypy, unit and integration tests
	@report=$$(mktemp); $(PYTHON) -m mypy >$$report 2>&1 & mypy=$$!; \
	$(PYTHON) -m pytest -n 2 --dist loadgroup --no-loadscope-reorder; tests=$$?; \
	wait $$mypy; types=$$?; cat $$report; rm $$report; test $$tests = 0 && test $$types = 0

test-slow: $(INSTALLED) ## the tests that train or measure; hours on a CPU
	@$(PYTHON) -m pytest tests/slow

lint: ruff ## ruff and mypy
	@$(PYTHON) -m mypy

ruff: $(INSTALLED)
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .

format: $(INSTALLED) ## let ruff lay out the code and mend what it can
	@$(PYTHON) -m ruff check --fix .
	@$(PYTHON) -m ruff format .

lock: ## resolve setup.py's ranges anew into requirements.lock
	@scripts/environment.sh uv pip compile setup.py --quiet --upgrade --extra all \
	    --python-version 3.10 --python-platform x86_64-manylinux_2_28 --no-python-downloads \
	    --generate-hashes --no-emit-index-url --no-emit-find-links --annotation-style line \
	    --custom-compile-command "make lock" --output-file requirements.lock

clean: ## remove what make and the tools created; the uv cache stays
	@rm -rf .venv .uv .demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -prune -exec rm -rf {} +

$(INSTALLED): requirements.lock setup.py scripts/environment.sh
	@scripts/environment.sh
	@touch $@
