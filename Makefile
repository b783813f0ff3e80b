# make run · make test · make demo · make bootstrap · make bench · make lint
# Each target installs the system packages that it needs (Debian, Ubuntu) or prints their names (elsewhere).

SHELL := /bin/bash
CARGO ?= cargo
TARGET_DIR := $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),target)
ARGS ?=
ONLY ?=

.PHONY: help run build app demo bootstrap test test-full bench lint fuzz setup-build setup-run setup-demo setup-bench setup-full

help:
	@echo 'make run        build and open the app (without a display: the demo)'
	@echo 'make test       the tests that any laptop runs'
	@echo 'make test-full  also namespaces, sound servers, a real window, other people'"'"'s programs (needs root or sudo)'
	@echo 'make demo       three peers on this machine live through a whole meeting; the last line is JSON'
	@echo 'make bootstrap  a bootstrap node on this machine, with SQLite and a certificate of its own; prints an invite at the first start'
	@echo 'make bench      one JSON line a measure; ONLY=meet/ runs one family'
	@echo 'make lint       rustfmt, clippy, and cargo-deny where it is installed'
	@echo 'make fuzz       the fuzz targets, on nightly with cargo-fuzz'

setup-build:
	@scripts/setup.sh build
setup-run:
	@scripts/setup.sh build run
setup-demo:
	@scripts/setup.sh build run demo
setup-bench:
	@scripts/setup.sh build run demo bench
setup-full:
	@scripts/setup.sh build run demo full

run:
	@if [ -n "$$DISPLAY" ] || [ -n "$$WAYLAND_DISPLAY" ] || [ "$$(uname)" != Linux ]; then \
		$(MAKE) --no-print-directory app; \
	else \
		echo 'There is no display here (neither DISPLAY nor WAYLAND_DISPLAY is set): running the demo instead of the app.'; \
		$(MAKE) --no-print-directory demo; \
	fi

app: setup-run
	$(CARGO) build --workspace
	$(TARGET_DIR)/debug/conclave $(ARGS)

build: setup-build
	$(CARGO) build --workspace --all-targets

demo: setup-demo
	@$(CARGO) build --workspace >&2
	@$(TARGET_DIR)/debug/conclave-demo $(ARGS)

# The node of BOOTSTRAP_DIR: made at the first start, then run.
BOOTSTRAP_DIR ?= bootstrap-team
bootstrap: setup-build
	$(CARGO) build --workspace --bin conclave-bootstrap
	@mkdir -p $(BOOTSTRAP_DIR)
	@program=$$(realpath $(TARGET_DIR)/debug/conclave-bootstrap); cd $(BOOTSTRAP_DIR); \
	[ -e bootstrap.toml ] || "$$program" init --team "$${TEAM:-My team}" $${URL:+--url "$$URL"} $${EXTERNAL:+--external "$$EXTERNAL"} || exit 1; exec "$$program" run $(ARGS)

test: setup-build
	$(CARGO) build --workspace --all-targets
	$(CARGO) test --workspace

# Not tests: writers of corpora, child processes of other tests, figures, single seeds, and the longest run of a simulation (CONCLAVE_SEEDS).
NOT_TESTS := write_the_ victim_process one_side figures cost_of_a_picture many_seeds one_seed

test-full: setup-full
	$(CARGO) build --workspace --all-targets
	CONCLAVE_FULL=1 scripts/as-root.sh $(CARGO) test --workspace --all-targets --no-fail-fast -- --ignored --test-threads=1 $(addprefix --skip ,$(NOT_TESTS))
	python3 scripts/check_vectors.py
	CONCLAVE_FULL=1 $(CARGO) test --workspace --lib --test media -- --test-threads=1 sound:: record::

bench: setup-bench
	@$(CARGO) build --workspace --release >&2
	@CARGO_TARGET_DIR="$(TARGET_DIR)" $(CARGO) build --release --manifest-path tests/beside/Cargo.toml >&2 || echo 'bench: conclave-beside cannot be built: nothing is measured beside yrs and loro' >&2
	@$(TARGET_DIR)/release/conclave-bench $(if $(ONLY),--only $(ONLY)) $(ARGS)

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets
	@if command -v cargo-deny >/dev/null; then $(CARGO) deny check; else echo 'cargo-deny is not installed: skipped (cargo install cargo-deny)'; fi

fuzz:
	for part in node/protocol node/media bootstrap crdt; do ( cd $$part/fuzz && for target in $$(cargo +nightly fuzz list); do cargo +nightly fuzz run "$$target" -- -max_total_time=$${SECONDS_EACH:-60} || exit 1; done ) || exit 1; done
