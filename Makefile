# Every daily command. All but `help` and `lock` first set up .venv from the hash-pinned lock, if
# that is needed.
PYTHON ?= python3
PIP_INSTALL := .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes
# Compiling is a step of its own, on all cores: PYTHONDONTWRITEBYTECODE leaves it to every start.
COMPILE := .venv/bin/python -c 'import compileall; compileall.compile_dir(".venv/lib", quiet=2, workers=0)'
EXPORT := echo '\# Written by `make lock`'; uv export --quiet --frozen --no-header --no-emit-project
# With it, Python would not find the package, once DVC has removed the outputs.
unexport PYTHONSAFEPATH
# DVC's stages take the `python` that they find.
IN_VENV := PATH="$(CURDIR)/.venv/bin:$$PATH"
# What .venv was made from. A copy lies in it, written last: where it differs, the lock, Python or
# the folder is another one or the set-up was interrupted, and .venv is rebuilt.
ORIGIN := { pwd; $(PYTHON) -V; cat requirements/main.txt; }

.DEFAULT_GOAL := help
.PHONY: help repro check seeds fashion-mnist experiments compare sweep report test test-fast lint lock bench
.PHONY: check-sweep ui publish promote serve explore mlflow-server
.PHONY: venv venv-explore venv-ray venv-remotes venv-server venv-sweep venv-dev

help:  ## list the targets
	@awk -F ':.*## +' '/^[a-z-]+:.*## / {printf "%-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

repro: venv  ## run what has changed: dvc repro
	@.venv/bin/python -m pipeline.check --stages
	@$(IN_VENV) python -m pipeline.repro

seeds: venv  ## train with several seeds (SEEDS, default 5): how much the accuracy varies
	@$(IN_VENV) python -m pipeline.seeds --seeds $(or $(SEEDS),5)

fashion-mnist: venv  ## get Fashion-MNIST, from Debian's package if it is there, or from URL
	@.venv/bin/python -m pipeline.fetch fashion-mnist $(if $(URL),--url $(URL))

experiments: venv  ## run the lesson's experiments (docs/experiments.md), or those in NAMES
	@$(IN_VENV) python -m pipeline.experiments $(NAMES)

compare: venv  ## list HEAD and all DVC experiments: what differs, test accuracy with its interval
	@.venv/bin/python -m pipeline.experiments.compare

sweep: check-sweep venv-ray  ## search for better params: sweep.yaml (docs/sweep.md)
	@$(IN_VENV) python -m pipeline.sweep

check-sweep: venv
	@.venv/bin/python -m pipeline.sweep --check

report: venv  ## say what the working tree, or HEAD, changed against main, or BASE; pictures go to OUTPUT
	@.venv/bin/python -m pipeline.report $(BASE) $(if $(HEAD),--head $(HEAD)) $(if $(OUTPUT),--output $(OUTPUT))

test: venv-dev  ## run all tests
	@$(IN_VENV) python -m pytest -n 2 --dist worksteal

test-fast: venv-dev  ## run the tests that need neither dvc nor training
	@$(IN_VENV) python -m pytest -n 2 --dist worksteal -m 'not end_to_end'

check: venv  ## compare dvc.yaml with the code; make check FIX=1 writes what is missing
	@.venv/bin/python -m pipeline.check $(if $(FIX),--fix)

lint: venv-dev check  ## check declarations, imports, style and types
	@.venv/bin/lint-imports --no-cache >.venv/imports.log || { cat .venv/imports.log; exit 1; }
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/mypy

bench: venv  ## measure against the plain script, at full size
	@$(IN_VENV) python -m benchmarks.run

ui: venv  ## open the MLflow UI on 127.0.0.1, port 5000 or PORT
	@$(IN_VENV) python -m pipeline.tracking.view --port $(or $(PORT),5000)

publish: venv  ## make MLflow agree with Git and DVC
	@.venv/bin/python -m pipeline.publish

promote: venv  ## make the model of this state, or HEAD, the champion, unless it is worse (LEVEL, default 0.05)
	@.venv/bin/python -m pipeline.promote $(HEAD) --level $(or $(LEVEL),0.05)

serve: venv  ## answer requests with the champion on 127.0.0.1, port 8000 or PORT
	@.venv/bin/python -m pipeline.serve --port $(or $(PORT),8000)

explore: venv-explore  ## draw a digit and see what the network sees, on 127.0.0.1, port 8080 or PORT
	@.venv/bin/python -m pipeline.explore --port $(or $(PORT),8080)

# The variables that must be set; the shell stops with this message where one is not.
SERVER_VARIABLES := PGHOST MLFLOW_SERVER_ALLOWED_HOSTS MLFLOW_FLASK_SERVER_SECRET_KEY
mlflow-server: venv-server  ## serve MLflow to a team: PostgreSQL, passwords (docs/team.md)
	@: $(foreach name,$(SERVER_VARIABLES),"$${$(name):?must be set; see docs/team.md}"); \
	export MLFLOW_DISABLE_TELEMETRY=true MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false; \
	export MLFLOW_BACKEND_STORE_URI="$${MLFLOW_BACKEND_STORE_URI:-postgresql:///mlflow}"; \
	export MLFLOW_AUTH_CONFIG_PATH="$${MLFLOW_AUTH_CONFIG_PATH:-pipeline/tracking/basic_auth.ini}"; \
	$(IN_VENV) exec mlflow server --app-name basic-auth

# Of each version, uv.lock has the hashes that the supported Pythons may need; uv pip compile, all.
lock:  ## renew the locks (needs uv)
	uv lock --quiet --upgrade
	{ $(EXPORT) --no-default-groups; } > requirements/main.txt
	for group in dev explore ray remotes server; do \
	  { $(EXPORT) --only-group "$$group"; } > "requirements/$$group.txt" || exit; \
	done
	rm uv.lock  # it names package indexes
	sed -nE "s/^(keras|matplotlib|tensorflow)==([^ ]+).*/\1: '\2'/p" requirements/main.txt \
	  > requirements/versions.yaml

venv:
	@$(ORIGIN) | cmp -s - .venv/origin || { \
	  $(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	    { echo 'Python 3.11 to 3.13 is needed; name one: make PYTHON=python3.12 ...' >&2; exit 1; }; \
	  echo 'Setting up .venv (once; 3.1 GB, takes one to three minutes)'; \
	  rm -rf .venv && hash -r && $(PYTHON) -m venv .venv && \
	  $(PIP_INSTALL) -r requirements/main.txt && $(COMPILE) && \
	  .venv/bin/python -m pipeline.plots_page .venv/plots.html && \
	  .venv/bin/dvc config --local plots.html_template ../.venv/plots.html && \
	  $(ORIGIN) > .venv/origin; }

venv-explore venv-ray venv-remotes venv-server: venv-%: venv
	@cmp -s requirements/$*.txt .venv/$*.txt || { \
	  echo 'Installing requirements/$*.txt (once)'; \
	  $(PIP_INSTALL) -r requirements/$*.txt && $(COMPILE) && \
	  cp requirements/$*.txt .venv/$*.txt; }

venv-sweep: venv-ray  # its name until workers, too, needed Ray

venv-dev: venv-explore venv-ray venv-remotes venv-server
	@cmp -s requirements/dev.txt .venv/dev.txt || { \
	  $(PIP_INSTALL) -r requirements/dev.txt && $(COMPILE) && \
	  cp requirements/dev.txt .venv/dev.txt; }
