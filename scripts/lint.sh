#!/bin/bash
# What reads the code without running it. One line a check: `ok …` or `FAILED …`.
# clang-tidy takes its flags from build-clang/.
set -u

cd "$(dirname "$0")/.." || exit 1
if [ -z "${RINGWALL_BUILT:-}" ]; then
	scripts/setup.sh build test || exit 1
	scripts/build.sh clang || exit 1
fi
logs=build-clang/lint
mkdir -p "$logs"
failed=0

# check NAME COMMAND…: runs it, keeps what it says, shows the beginning when it fails.
check() {
	local name=$1 log=$logs/$1.log

	shift
	if "$@" >"$log" 2>&1; then
		echo "ok $name"
		return
	fi
	failed=1
	echo "FAILED $name: see $log"
	grep -E '(error:|warning:|#include)' "$log" | sort -u | head -n 20 | sed 's/^/    /'
}

layout() {
	find src tests bench -name '*.[ch]' | xargs -n 20 -P "$(nproc)" clang-format --dry-run -Werror
}

tidy() {
	find src -name '*.c' | sort | xargs -n 1 -P "$(nproc)" clang-tidy --quiet -p build-clang
}

check include-directions scripts/check-includes.sh
check clang-format layout
check clang-tidy tidy
exit "$failed"
