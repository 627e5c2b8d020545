# The one command surface: the same here and in CI. Needs make, python3 (3.11 or newer, with pip) and PyPI.
# Kept to what GNU make 3.81 and the BSD tools of macOS understand.

PYTHON ?= python3
ARGS ?=
MINUTES ?= 60

UV_VERSION := 0.13.9
# uv and the project each have a virtual environment; the stamp in it is made last, so a half-made one is redone.
UV := .uv/bin/uv
UV_READY := .uv/ready
BIN := .venv/bin
READY := .venv/ready
SPARK := .spark/ready

# Before pytest, so that no test installs anything: the machine's browser, else a download, which is tried once.
FETCH_BROWSER := $(BIN)/python -m tests.support.browser

CACHES := .pytest_cache .mypy_cache .ruff_cache .hypothesis
COMPILE := pip compile --universal --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate \
	--custom-compile-command "make lock"

# Compiled once at install time, not on every first import; the machine's own certificates (a proxy's too).
UV_COMPILE_BYTECODE ?= 1
UV_SYSTEM_CERTS ?= 1
# The Python that is here, never one fetched from elsewhere.
UV_PYTHON_DOWNLOADS := never
export UV_COMPILE_BYTECODE UV_SYSTEM_CERTS UV_PYTHON_DOWNLOADS

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-all browser check bench bench-spark soak audit screenshots lock pin-images reference ner clean clean-data

help: ## this list
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile
	@echo '  ARGS="…" is passed on by demo, test, test-all, bench, bench-spark, soak and lock, as in: make demo ARGS="--once"'

demo: $(READY) ## broker, simulated hospital, stream, Gold, Prefect and its UI, until Ctrl-C
	@$(BIN)/wardlake demo $(ARGS)

test: $(READY) ## every test but the slow ones, on every core
	@$(FETCH_BROWSER)
	$(BIN)/pytest -n auto -m "not slow" $(ARGS)

test-all: $(READY) ## every test, the slow ones too
	@$(FETCH_BROWSER)
	$(BIN)/pytest -n auto $(ARGS)

browser: $(READY) ## the browser of the tests: found, or fetched again after a failure
	@$(FETCH_BROWSER) --retry

check: $(READY) ## format, lint, types, architecture, docs; reports all failures, not the first
	@failed=""; \
	step() { name=$$1; shift; echo "--- $$name: $$*"; "$$@" || failed="$$failed $$name"; }; \
	step format $(BIN)/ruff format --check .; \
	step lint $(BIN)/ruff check .; \
	step types $(BIN)/mypy; \
	step packages $(UV) pip check --python $(BIN)/python; \
	step image $(BIN)/hadolint --no-color Dockerfile; \
	if docker compose version >/dev/null 2>&1; then step compose docker compose -f compose.yaml config --quiet; fi; \
	step imports $(BIN)/lint-imports --no-cache; \
	step house $(BIN)/pytest -q tests/unit/house; \
	if [ -n "$$failed" ]; then echo "make check: FAILED:$$failed" >&2; exit 1; fi; \
	echo "make check: all passed"

bench: $(READY) ## measure throughput, latency and memory
	$(BIN)/python -m benchmarks $(ARGS)

# Spark has an environment of its own: nothing of it is in the product's.
bench-spark: $(READY) $(SPARK) ## the same work by Spark, side by side; needs Java 17 or newer, Maven
	$(BIN)/python -m benchmarks spark-ingest spark-gold spark-footprint $(ARGS)

soak: $(READY) ## everything at work and broken on purpose, for MINUTES=60; exit 1 where a message is lost or twice
	$(BIN)/python -m tests.soak --minutes $(MINUTES) $(ARGS)

audit: $(READY) ## known holes in what the product runs on (asks PyPI)
	$(BIN)/pip-audit --strict --require-hashes --disable-pip -r requirements-run.lock

screenshots: $(READY) ## pictures of dashboards and Prefect's UI for the docs
	@$(FETCH_BROWSER)
	$(BIN)/python -m tests.e2e.screenshots

lock: $(UV_READY) ## pin every dependency again (ARGS=--upgrade for newer versions)
	$(UV) $(COMPILE) --group dev pyproject.toml -o requirements.lock $(ARGS)
	$(UV) $(COMPILE) --constraint requirements.lock pyproject.toml -o requirements-run.lock
	printf '%s\n' "uv==$(UV_VERSION)" hatchling | $(UV) $(COMPILE) - -o requirements-uv.lock

pin-images: $(READY) ## write the digests of the base images' tags into Dockerfile and compose.yaml (asks their registry)
	$(BIN)/python .ci/pin_images.py $(REGISTRY)

reference: $(READY) ## make lake/reference again: titles of ICD-10-CM, places of the United States
	$(UV) run --no-project --python $(BIN)/python --with polars --with simple-icd-10-cm==1.5.0 --with zipcodes==3.0.0 \
		.ci/reference.py

ner: $(READY) ## the finder of other people's names in notes, for WARDLAKE_NER=presidio
	$(UV) pip install --python $(BIN)/python --editable '.[ner]'

clean: ## remove the environments and caches; data/ stays
	rm -rf .venv .uv .spark dist $(CACHES)
	find . \( -path ./data -o -path ./.git \) -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +
	@echo "data/ was left alone; 'make clean-data' removes it"

clean-data: ## remove data/: the lake and its key
	@echo "removing data/: the tables, and the key that opens what is encrypted in them"
	rm -rf data

$(READY): requirements.lock pyproject.toml $(UV_READY)
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| $(UV) venv --quiet --clear --python .uv/bin/python .venv
	$(UV) pip sync --quiet --require-hashes --python $(BIN)/python requirements.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

$(SPARK): benchmarks/spark/requirements.lock benchmarks/spark/session.py $(UV_READY)
	@command -v java >/dev/null || { echo "make: Java is missing; expected Java 17 or newer; install it, or leave" \
		"this comparison out: nothing else needs it" >&2; exit 2; }
	@.spark/venv/bin/python -c '' 2>/dev/null || $(UV) venv --quiet --clear --python .uv/bin/python .spark/venv
	$(UV) pip sync --quiet --require-hashes --python .spark/venv/bin/python benchmarks/spark/requirements.lock
	.spark/venv/bin/python -m benchmarks.spark.session
	@touch $@

# Where the system's Python has pip but no ensurepip (Debian without python3-venv), its pip serves.
$(UV_READY): requirements-uv.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "make: $(PYTHON) cannot be used; got $$($(PYTHON) --version 2>&1); expected Python 3.11 or newer;" \
			"install one, or name one: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@rm -rf .uv; \
	if $(PYTHON) -c 'import venv, ensurepip' 2>/dev/null; then \
		$(PYTHON) -m venv .uv && .uv/bin/python -m pip install --quiet --require-hashes -r requirements-uv.lock; \
	elif $(PYTHON) -c 'import venv, pip' 2>/dev/null; then \
		$(PYTHON) -m venv --without-pip .uv \
			&& $(PYTHON) -m pip --python .uv/bin/python install --quiet --require-hashes -r requirements-uv.lock; \
	else \
		echo "make: $(PYTHON) cannot make virtual environments; got no module venv with ensurepip or pip;" \
			"expected both; install them (Debian: apt install python3-venv), or name another:" \
			"make PYTHON=/path/to/python3.11" >&2; exit 2; \
	fi
	@touch $@
