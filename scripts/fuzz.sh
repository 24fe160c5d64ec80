#!/bin/bash
# Fuzzes, two targets at a time, from the seeds in tests/fuzz/corpus/. New inputs go to a
# temporary directory, never to the tree. One line a target: `ok …` or `FAILED …`.
#   scripts/fuzz.sh SECONDS [TARGET…]      SECONDS in all; every target when none is named
set -u

cd "$(dirname "$0")/.." || exit 1
seconds=$1
shift

out=build-clang/fuzz
if [ -z "${RINGWALL_BUILT:-}" ]; then
	scripts/setup.sh build test || exit 1
	scripts/build.sh clang || exit 1
fi
if [ $# -eq 0 ]; then
	for binary in build-clang/tests/fuzz/fuzz_*; do
		[ -f "$binary" ] && [ -x "$binary" ] && set -- "$@" "${binary##*/fuzz_}"
	done
fi
if [ $# -eq 0 ]; then
	echo "FAILED fuzzing: there are no fuzz targets in build-clang/tests/fuzz"
	exit 1
fi
each=$((seconds * 2 / $#))
[ "$each" -ge 2 ] || each=2
found=$(mktemp -d) || exit 1
trap 'rm -rf "$found"' EXIT
mkdir -p "$out"

fuzz_one() {
	local name=$1 log=$out/$1.log seeds=tests/fuzz/corpus/$1 options=()

	if [ -z "$(ls -A "$seeds" 2>/dev/null)" ]; then
		echo "FAILED fuzz $name: no seeds in $seeds"
		return 1
	fi
	[ -f "tests/fuzz/$name.dict" ] && options+=("-dict=tests/fuzz/$name.dict")
	mkdir -p "$found/$name"
	if timeout -k 5 $((each + 120)) "build-clang/tests/fuzz/fuzz_$name" "-max_total_time=$each" -timeout=10 \
		-rss_limit_mb=2048 -print_final_stats=1 "-artifact_prefix=$out/$name-" "${options[@]}" \
		"$found/$name" "$seeds" >"$log" 2>&1; then
		echo "ok fuzz $name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs in $each s"
	else
		echo "FAILED fuzz $name: see $log; input: $(ls -t "$out/$name-"* 2>/dev/null | head -n 1)"
		return 1
	fi
}

export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
failed=0
running=0
for name in "$@"; do
	if [ "$running" -eq 2 ]; then
		wait -n || failed=1
		running=$((running - 1))
	fi
	fuzz_one "$name" &
	running=$((running + 1))
done
while [ "$running" -gt 0 ]; do
	wait -n || failed=1
	running=$((running - 1))
done
exit "$failed"
