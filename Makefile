VENV ?= .venv
export VENV
BOOTSTRAP := bash deploy/local/bootstrap.sh

.PHONY: help run test containers faults fuzz check lint types imports nginx lock fmt clean bench bench-quick

help: ## List these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

run: ## Start the whole stack on PORT (8080), with its state in STATE_DIR (var); Ctrl-C stops it
	@exec $(BOOTSTRAP) run python -m deploy.local.run

test: ## Run all tests; ARGS are pytest's, such as ARGS=tests/local
	@exec $(BOOTSTRAP) test python -m pytest $(ARGS)

containers: ## Test more on containers than `make test` does: the end-to-end tests, and everything often
	@exec $(BOOTSTRAP) test python -m pytest -m "containers or not faults" --compose tests/container tests/containers tests/e2e $(ARGS)

faults: ## Break every part at full counts, for half an hour, and print the figures of docs/reliability.md
	@exec $(BOOTSTRAP) test python -m pytest -m faults tests/faults tests/observability -s $(ARGS)

fuzz: ## Send generated requests to the whole stack for some minutes: all answers have to be as openapi.json says
	@exec env FUZZ_EXAMPLES=200 $(BOOTSTRAP) test python -m pytest tests/docs/test_openapi.py -k generated $(ARGS)

bench: ## Measure against thumbor, ipx and the limits, for half an hour, and write docs/benchmarks.md; ARGS=--help
	@exec $(BOOTSTRAP) test python -m tests.bench $(ARGS)

bench-quick: ## The same in a minute: one short round, without growth, memory and quality; writes nothing
	@exec $(BOOTSTRAP) test python -m tests.bench --quick $(ARGS)

check: lint types imports nginx ## Check all that needs no running stack

lint: ## Check style and formatting
	@$(BOOTSTRAP) check python -m ruff check
	@$(BOOTSTRAP) check python -m ruff format --check

types: ## Check types
	@$(BOOTSTRAP) check python -m mypy

imports: ## Check who imports whom
	@$(BOOTSTRAP) check lint-imports

nginx: ## Check nginx's configuration, and that its errors are those of libs/errors.py
	@$(BOOTSTRAP) check python -m deploy.local.nginx

fmt: ## Format the code, and write what is generated
	@$(BOOTSTRAP) check python -m ruff check --fix
	@$(BOOTSTRAP) check python -m ruff format
	@$(BOOTSTRAP) check python -m deploy.nginx.errors

lock: ## Pin the newest releases that pyproject.toml allows
	@$(BOOTSTRAP) check uv pip compile pyproject.toml --group dev --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header --upgrade --quiet --output-file requirements.lock

clean: ## Delete what was built; the state in STATE_DIR stays
	@rm -rf .venv build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
