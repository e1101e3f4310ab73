# Every daily command. Each sets up .venv from the hash-pinned lock first, if that is needed.
PYTHON ?= python3
PORT ?= 5000
BIN := $(CURDIR)/.venv/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes
export PATH := $(BIN):$(PATH)
export MLFLOW_DISABLE_TELEMETRY := true

.DEFAULT_GOAL := help
.PHONY: help repro test lint lock bench ui publish venv venv-dev

help:  ## list the targets
	@awk -F ':.*## +' '/^[a-z-]+:.*## / {printf "%-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

repro: venv  ## run what has changed: dvc repro
	@dvc repro
	@python -m pipeline.summary

test: venv-dev  ## run the tests
	@python -m pytest -n 2 --dist worksteal

lint: venv-dev  ## check style and types
	@ruff check
	@ruff format --check
	@mypy

bench: venv  ## measure against the plain script, at full size
	@python -m benchmarks.run

ui: venv  ## open the MLflow UI on 127.0.0.1, port 5000 or PORT
	@mlflow server --host 127.0.0.1 --port $(PORT) --workers 1 \
	    --backend-store-uri "$${MLFLOW_TRACKING_URI:-sqlite:///$(CURDIR)/mlflow.db}" \
	    --default-artifact-root mlartifacts

publish: venv  ## make MLflow agree with Git and DVC
	@python -m pipeline.publish

lock:  ## renew the locks (needs uv)
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 \
	    --custom-compile-command 'make lock' pyproject.toml --output-file requirements.txt
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 \
	    --custom-compile-command 'make lock' --group dev --constraints requirements.txt \
	    --output-file requirements-dev.txt

# A copy of the lock that .venv was made from lies in it, written last: where it differs, the lock
# has changed or the set-up was interrupted, and .venv is made anew. Compiling is a step of its
# own, on all cores, because PYTHONDONTWRITEBYTECODE would otherwise leave it to every start.
venv:
	@cmp -s requirements.txt .venv/requirements.txt || { \
	  $(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	    { echo 'Python 3.11 to 3.13 is needed; name one: make PYTHON=python3.12' >&2; exit 1; }; \
	  echo 'Setting up .venv (once; takes one to three minutes)'; \
	  rm -rf .venv && $(PYTHON) -m venv .venv && $(PIP_INSTALL) -r requirements.txt && \
	  { $(BIN)/python -m compileall -q -j 0 .venv/lib || true; } && \
	  $(BIN)/python -m pipeline.plots_page .venv/plots.html && \
	  dvc config --local plots.html_template '$(CURDIR)/.venv/plots.html' && \
	  cp requirements.txt .venv/requirements.txt; }

venv-dev: venv
	@cmp -s requirements-dev.txt .venv/requirements-dev.txt || { \
	  $(PIP_INSTALL) -r requirements-dev.txt && \
	  { $(BIN)/python -m compileall -q -j 0 .venv/lib || true; } && \
	  cp requirements-dev.txt .venv/requirements-dev.txt; }
