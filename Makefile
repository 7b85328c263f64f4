# Each target installs what it lacks on a fresh Debian 12, says nothing of what is there, then runs.
# CITYTAP_CAPTURES=DIR adds captures from outside to the tests and the benchmark; without it they use pcaps/ alone and say so.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo rekey-demo test lint deny bench fuzz soak rust lab

export PATH := $(HOME)/.cargo/bin:$(PATH)
export CARGO_TERM_COLOR ?= auto

RUST_VERSION := $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
NEXTEST_VERSION := 0.9.143
DENY_VERSION := 0.20.2
export FUZZ_SECONDS ?= 60
# Where cargo builds; it can be told to build elsewhere.
TARGET := $(or $(CARGO_TARGET_DIR),target)
CITY := $(wildcard pcaps/city/*/capture.pcap*)

# need COMMAND,PACKAGE ...: installs Debian packages where the command is missing.
need = command -v $(1) >/dev/null || tests/install.sh $(2)

help:
	@echo 'make demo   build, replay the bundled city capture, show what it found'
	@echo 'make rekey-demo   a made-up town with default passwords: found, replaced, proven, in one go'
	@echo 'make test   formatting, lints, licences where cargo-deny is present, all tests, documentation'
	@echo 'make bench  cost of a packet against tcpdump and, where installed, Suricata'
	@echo 'make fuzz   every fuzz target for $(FUZZ_SECONDS) seconds (FUZZ_SECONDS=N for another time)'
	@echo 'make soak   ten million rotations of made-up devices (ROTATIONS=N for another number)'
	@echo 'make deny   installs cargo-deny and checks licences, bans and sources'

# Builds with the profile quick: the release profile optimises across all crates and takes several times as long for a few per cent.
demo: rust
	@cargo build --quiet --profile quick -p citytap-analyzer
	@rm -rf demo
	@$(TARGET)/quick/citytap replay $(CITY) --store demo
	@echo
	@echo 'The inventory is in demo/. Where to look next:'
	@echo '  $(TARGET)/quick/citytap devices --store demo              all devices; devices show ID for one'
	@echo '  $(TARGET)/quick/citytap findings --store demo             what is wrong, with evidence'
	@echo '  $(TARGET)/quick/citytap export inventory --format csv --store demo'
	@echo '  $(TARGET)/quick/citytap decode $(CITY) --protocol modbus  one JSON line a message'
	@echo '  $(TARGET)/quick/citytap replay YOUR.pcap                  your own capture'

# Ten million rotations of made-up devices with crashes, losses, restores and devices that do wrong; the tests make ten thousand.
soak: rust
	cargo run --quiet --release -p citytap-rekey --example soak -- $(or $(ROTATIONS),10000000)

# Nothing leaves the machine: the devices are made up.
rekey-demo: rust
	@cargo build --quiet --profile quick -p citytap-rekey
	@rm -rf rekey-demo
	@$(TARGET)/quick/citytap-rekey simulate --folder rekey-demo

test: rust lint lab
	@$(call need,tshark,tshark)
	@cargo nextest --version >/dev/null 2>&1 || cargo install --locked cargo-nextest@$(NEXTEST_VERSION)
	@[ -n "$${CITYTAP_CAPTURES:-}" ] || echo 'CITYTAP_CAPTURES is not set: the tests use pcaps/ alone'
	CITYTAP_LAB_PYTHON=$(LAB_PYTHON) cargo nextest run --workspace
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --quiet

# The live test's small city: programs that speak, in network namespaces. Namespaces need root; without it the test says so and is passed over.
LAB_PYTHON = $(abspath $(TARGET))/lab-python/bin/python
lab:
	@if [ "$$(id -u)" = 0 ]; then \
		$(call need,ip,iproute2); $(call need,ethtool,ethtool); $(call need,sysctl,procps); $(call need,tcpdump,tcpdump); \
		$(call need,mosquitto,mosquitto); $(call need,openssl,openssl); \
		[ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || tests/without_services.sh rabbitmq-server; \
		tests/live/python.sh $(abspath $(TARGET))/lab-python; \
	else echo 'not root: the live test is passed over'; fi

lint: rust
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --quiet -- -D warnings
	@if cargo deny --version >/dev/null 2>&1; then \
		echo 'cargo deny check licenses bans sources'; cargo deny --log-level error check licenses bans sources; \
	else echo 'cargo-deny is not installed: licences, bans and sources are not checked (make deny)'; fi

# Advisories need a database from GitHub and are checked elsewhere.
deny: rust
	@cargo deny --version >/dev/null 2>&1 || cargo install --locked cargo-deny@$(DENY_VERSION)
	cargo deny --log-level error check licenses bans sources

bench: rust
	@$(call need,tcpdump,tcpdump)
	@$(call need,python3,python3)
	cargo build --quiet --release -p citytap-analyzer
	cargo build --quiet --profile quick -p citytap-tests --bin workload
	@python3 tests/bench/bench.py $(BENCH)

# Stable Rust will do: the coverage that libFuzzer steers by is an LLVM pass, and there is no unsafe code for a sanitizer to watch.
# Naming the target keeps the flags away from build scripts.
HOST = $(shell rustc -vV | sed -n 's/^host: //p')
SANCOV := -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
	-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1
fuzz: rust
	@$(call need,g++,build-essential)
	cargo build --quiet -p citytap-tests --bin seeds
	cd tests/fuzz && RUSTFLAGS='--cfg fuzzing $(SANCOV)' cargo build --quiet --release --target $(HOST)
	@rm -rf tests/fuzz/target/seeds
	@$(TARGET)/debug/seeds tests/fuzz/target/seeds
	@tests/fuzz/run.sh $(or $(CARGO_TARGET_DIR),tests/fuzz/target)/$(HOST)/release/citytap-fuzz tests/fuzz/target/seeds

# A C compiler links Rust programs and builds zstd; live capture is libpcap's.
rust:
	@$(call need,cc,build-essential pkg-config)
	@[ -e /usr/include/pcap.h ] || tests/install.sh libpcap-dev
	@command -v cargo >/dev/null || { echo 'No Rust toolchain. This gets it:'; \
		echo "  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y"; exit 1; }
	@have=$$(rustc --version | cut -d' ' -f2); \
		printf '%s\n%s\n' $(RUST_VERSION) "$${have%%-*}" | sort -CV || \
		{ echo "Rust $$have is older than $(RUST_VERSION). This gets a newer one:"; echo '  rustup update stable'; exit 1; }
	@cargo clippy --version >/dev/null 2>&1 && cargo fmt --version >/dev/null 2>&1 || rustup --quiet component add clippy rustfmt
