#!/bin/bash
# Measures beside peers, on loopback and between network namespaces; some thirty minutes. Prints JSON lines, adds them to
# bench/out/results.jsonl, and puts them into the table of bench/RESULTS.md.
#   bench/run.sh                      everything
#   bench/run.sh calls parse          only these of: calls delay subscriptions memory sustained recovery checkpoints storm rtp namespaces dtls net parse
#   bench/run.sh endurance            many calls for long; not a part of everything. ENDURANCE_S: how long
set -u

cd "$(dirname "$0")/.." || exit 1
scripts/setup.sh build test bench || exit 1
build=$PWD/build-bench
run=bench/out/last.jsonl
failed=0

mkdir -p bench/out
: >"$run"
test -f "$build/build.ninja" || meson setup "$build" --buildtype=release >/dev/null || exit 1
ninja -C "$build" ringwall src/media/libmedia.a src/bpf/libring.a src/base/libbase.a bench/parse/parse_invite bench/parse/parse_body bench/net/net_memory \
	bench/recovery/call_cost bench/storm/storm bench/dtls/handshakes \
	>bench/out/build.log || {
	tail -n 30 bench/out/build.log >&2
	exit 1
}

# part NAME COMMAND…: keeps its JSON lines.
part() {
	local name=$1

	shift
	echo "-- $name" >&2
	"$@" | tee -a "$run"
	[ "${PIPESTATUS[0]}" -eq 0 ] || { failed=1; echo "$name: failed, or a goal was missed" >&2; }
}

# parse_one WHAT FUNCTION PROGRAM…: instructions of a function, of which the program makes as many calls as its last argument says.
parse_one() {
	local count=1000 log=bench/out/parse.callgrind.log what=$1 function=$2

	shift 2
	valgrind --tool=callgrind "--toggle-collect=$function" --callgrind-out-file=/dev/null \
		"$build/bench/parse/$1" "${@:2}" "$count" >"$log" 2>&1 || { cat "$log" >&2; return 1; }
	awk -v count="$count" -v what="$what" '/Collected/ { printf "{\"work\": \"parsing %s (callgrind)\", " \
		"\"unit\": \"instructions\", \"ours\": %d}\n", what, $NF / count }' "$log"
}

parse() {
	parse_one "a typical INVITE" sip_message_parse parse_invite &&
		parse_one "a description of two streams" sdp_parse parse_body sdp &&
		parse_one "a multipart of description and ISUP" sip_multipart_description parse_body multipart
}

# Instructions of a call in the gate, from datagram to answer, with checkpoints and without.
checkpoints() {
	local count=100 log=bench/out/checkpoints.callgrind.log mode

	for mode in none keep; do
		valgrind --tool=callgrind --toggle-collect=on_datagram --callgrind-out-file=/dev/null \
			"$build/bench/recovery/call_cost" "$count" "$mode" >"$log.$mode" 2>&1 || { cat "$log.$mode" >&2; return 1; }
	done
	cat "$log.keep" "$log.none" | awk -v count="$count" '/Collected/ { n[++i] = $NF / count } END { printf \
		"{\"work\": \"signalling of a call in the gate with checkpoints (callgrind)\", \"unit\": \"instructions\", " \
		"\"ours\": %d, \"theirs\": %d, \"ratio\": %.2f, \"peer\": \"without checkpoints\"}\n", n[1], n[2], n[1] / n[2] }'
}

# What of a handshake OpenSSL itself can do no faster, on one core.
dtls() {
	local speeds

	speeds=$(openssl speed -seconds 2 ecdsap256 ecdhp256 2>/dev/null | awk '/ecdsa/ { print $(NF - 1), $NF } / ecdh / { print $NF }' | tr '\n' ' ')
	# shellcheck disable=SC2086
	"$build/bench/dtls/handshakes" 1000 $speeds
}

for name in ${*:-calls delay subscriptions memory sustained recovery checkpoints storm rtp namespaces dtls net parse}; do
	case $name in
	calls | delay | subscriptions | memory | sustained) part "$name" "bench/signalling/$name.py" --binary "$build/ringwall" ;;
	recovery) part recovery bench/recovery/recovery.py --binary "$build/ringwall" ;;
	checkpoints) part checkpoints checkpoints ;;
	storm) part storm bench/storm/run.py --build "$build" ;;
	rtp) part rtp bench/rtp/run.py --build "$build" ;;
	namespaces) part namespaces bench/rtp/namespaces.py --build "$build" ;;
	endurance) part endurance bench/rtp/namespaces.py --build "$build" --only-long --long-seconds "${ENDURANCE_S:-300}" many ;;
	dtls) part dtls dtls ;;
	net) part net "$build/bench/net/net_memory" ;;
	parse) part parse parse ;;
	*) echo "no part: $name" >&2; exit 1 ;;
	esac
done
bench/report.py "$run" bench/out/results.jsonl bench/RESULTS.md >bench/out/RESULTS.md && mv bench/out/RESULTS.md bench/RESULTS.md
exit "$failed"
