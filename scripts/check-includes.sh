#!/bin/sh
# Holds the #include lines of src/ to the directions of docs/architecture.md. The table below is the
# only place that says them. From another module only its public header NAME/NAME.h may be
# included; of base and bpf, every header (bpf/bpf.h is the name of libbpf's).
#   scripts/check-includes.sh [DIRECTORY]     DIRECTORY instead of src
set -eu

cd "$(dirname "$0")/.."
directory=${1:-src}

# module: modules it may include
table='
base:
config: base
ipc: base
control: base
net: base
sip: base
sdp: base
bpf: base
media: base bpf
detect: base
shield: base bpf
store: base ipc
transport: base net sip
call: base config ipc media net sdp sip transport
agent: base media net sdp sip transport
roles: agent base bpf call config control detect ipc media net sdp shield sip store transport
cli: agent base call config control detect ipc media net roles sdp sip store transport
'

find "$directory" -mindepth 2 -name '*.[ch]' | sort | xargs awk -v table="$table" -v root="$directory/" '
	function complain(why) {
		printf "%s:%d: #include \"%s\": %s\n", FILENAME, FNR, header, why
		bad = 1
	}
	BEGIN {
		rows = split(table, row, "\n")
		for (i = 1; i <= rows; i++) {
			if (split(row[i], half, ":") < 2)
				continue
			known[half[1]] = 1
			many = split(half[2], names, " ")
			for (k = 1; k <= many; k++)
				may[half[1], names[k]] = 1
		}
	}
	FNR == 1 {
		module = substr(FILENAME, length(root) + 1)
		sub("/.*", "", module)
		if (!(module in known)) {
			printf "%s: module %s is not in the table of scripts/check-includes.sh\n", FILENAME, module
			bad = 1
		}
	}
	/^[ \t]*#[ \t]*include[ \t]*"/ {
		header = $0
		sub(/^[^"]*"/, "", header)
		sub(/".*/, "", header)
		if (header ~ /(^|\/)\.\.\//)
			complain("no way up: name it from src/")
		if (header !~ /\//)
			next # private, beside the file
		from = header
		sub("/.*", "", from)
		if (from == module)
			next
		if (!((module, from) in may))
			complain(module " must not know " from)
		else if (from != "base" && from != "bpf" && header != from "/" from ".h")
			complain("private to " from "; its public header is " from "/" from ".h")
	}
	END { exit bad }
'
