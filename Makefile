# The few commands people type; Meson and ninja do the work. `make help` lists them.
.DEFAULT_GOAL := all
.PHONY: all run test soak bench endurance fuzz format lint docs clean help

all: ## build build/ringwall (installs missing Debian packages when root)
	@scripts/setup.sh build
	@test -f build/build.ninja || meson setup build --buildtype=release -Dtests=false
	@ln -sfn build/compile_commands.json compile_commands.json
	@ninja -C build

run: all ## build, then start a gateway on the embedded default configuration
	@exec build/ringwall run

test: ## everything that must pass: both compilers, sanitizers, fuzzing, end to end, lint
	@scripts/test.sh

soak: ## mixed traffic for half an hour while processes are killed: make soak [SECONDS=1800]
	@scripts/setup.sh build test
	@scripts/build.sh gcc >build-gcc.log 2>&1 || { tail -n 20 build-gcc.log; exit 1; }
	@RINGWALL_SOAK_S=$(or $(SECONDS),1800) python3 tests/e2e/run.py --binary build-gcc/ringwall --only test_soak --keep

bench: ## measure beside peers (thirty minutes); writes bench/RESULTS.md
	@bench/run.sh

endurance: ## 2,000 calls' sound for five minutes without a loss: make endurance [SECONDS=300]
	@ENDURANCE_S=$(or $(SECONDS),300) bench/run.sh endurance

fuzz: ## fuzz longer: make fuzz SECONDS=600 [TARGETS="sip sdp"]
	@scripts/fuzz.sh $(or $(SECONDS),60) $(TARGETS)

format: ## lay out all C files with clang-format
	@scripts/setup.sh build test
	@find src tests bench -name '*.[ch]' | xargs clang-format -i

lint: ## include directions, layout, clang-tidy
	@scripts/lint.sh

docs: all ## write docs/configuration.md from the table of keys
	@build/ringwall check --reference >build/configuration.md
	@mv build/configuration.md docs/configuration.md

clean: ## remove all that was built
	@rm -rf build build-gcc build-clang build-bench bench/out compile_commands.json

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1	\2/p' Makefile | expand -t 16
