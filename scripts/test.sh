#!/bin/bash
# Everything that must pass. Each test says `ok …`, `FAILED …: where to look` or `skipped …: why`;
# the last line is `N passed, N failed, N skipped`, and the exit code is 0 when none failed.
set -uo pipefail

cd "$(dirname "$0")/.." || exit 1
ulimit -c 0
export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export RINGWALL_BUILT=1
fuzz_seconds=60
e2e_limit_s=1200

scripts/setup.sh build test || {
	echo "FAILED packages: scripts/setup.sh build test"
	echo "0 passed, 1 failed, 0 skipped"
	exit 1
}

passed=0
failed=0
skipped=0
start=$SECONDS

heading() {
	printf -- '-- %s (at %d s)\n' "$1" $((SECONDS - start))
}

# Shows the lines of standard input, and counts those that are results.
count() {
	local line

	while IFS= read -r line; do
		printf '%s\n' "$line"
		case $line in
		'ok '*) passed=$((passed + 1)) ;;
		'FAILED '*) failed=$((failed + 1)) ;;
		'skipped '*) skipped=$((skipped + 1)) ;;
		esac
	done
}

# build COMPILER: returns whether it is built.
build() {
	local log=build-$1.log

	heading "build with $1"
	if scripts/build.sh "$1" >"$log" 2>&1; then
		mv "$log" "build-$1/build.log"
		count <<<"ok build $1"
		return 0
	fi
	grep -E '(error|undefined reference|FAILED:)' "$log" | head -n 20 | sed 's/^/    /'
	count <<<"FAILED build $1: see $log"
	return 1
}

# results NAME COMMAND…: counts what it says, and that it failed if it says nothing of it.
results() {
	local name=$1 status passed_before=$passed failed_before=$failed

	shift
	count < <("$@" 2>&1)
	wait $!
	status=$?
	if [ "$failed" -eq "$failed_before" ] && { [ "$status" -ne 0 ] || [ "$passed" -eq "$passed_before" ]; }; then
		count <<<"FAILED $name: ended with status $status; run $*"
	fi
}

# unit COMPILER: a line for each line of `meson test`.
unit() {
	local log=build-$1/meson-logs/testlog.txt

	meson test -C "build-$1" --no-rebuild --num-processes 2 --timeout-multiplier 4 2>&1 | sed -E -n \
		-e 's#^ *[0-9]+/[0-9]+ (ringwall:[a-z]+ / )?##' -e T \
		-e "s#^(.*[^ ]) +OK +[0-9.]+s.*#ok $1 \1#p" -e t \
		-e "s#^(.*[^ ]) +SKIP +[0-9.]+s.*#skipped $1 \1#p" -e t \
		-e "s#^(.*[^ ]) +[A-Z]+ +[0-9.]+s.*#FAILED $1 \1: see $log, or meson test -C build-$1 -v '\1'#p"
}

end_to_end() {
	local log=build-gcc/e2e.log summary status

	heading "end to end"
	if [ ! -f tests/e2e/run.py ] || [ ! -x build-gcc/ringwall ]; then
		count <<<"FAILED end to end: tests/e2e/run.py or build-gcc/ringwall is missing"
		return
	fi
	timeout -k 20 "$e2e_limit_s" python3 tests/e2e/run.py --binary build-gcc/ringwall --jobs 2 2>&1 | tee "$log"
	status=${PIPESTATUS[0]}
	summary=$(tail -n 1 "$log" | sed -E -n 's/^([0-9]+) passed, ([0-9]+) failed, ([0-9]+) skipped$/\1 \2 \3/p')
	if [ -z "$summary" ]; then
		count <<<"FAILED end to end: ended with status $status and no summary; see $log"
		return
	fi
	# shellcheck disable=SC2086
	set -- $summary
	passed=$((passed + $1))
	failed=$((failed + $2))
	skipped=$((skipped + $3))
	if [ "$status" -ne 0 ] && [ "$2" -eq 0 ]; then
		count <<<"FAILED end to end: status $status although none failed; see $log"
	fi
}

if build gcc; then
	heading "unit tests with gcc"
	results "unit tests with gcc" unit gcc
	end_to_end
else
	count <<<"skipped unit tests and end to end with gcc: not built"
fi
if build clang; then
	heading "unit tests with clang"
	results "unit tests with clang" unit clang
	heading "fuzzing"
	results fuzzing scripts/fuzz.sh "$fuzz_seconds"
	heading "lint"
	results lint scripts/lint.sh
else
	count <<<"skipped unit tests, fuzzing and lint with clang: not built"
fi

heading "end"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
