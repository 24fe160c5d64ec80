#!/bin/sh
# Installs the Debian packages of the named groups (scripts/packages.txt), and only those
# that are missing. Says what it does.
#   scripts/setup.sh build            what `make` and `make run` need
#   scripts/setup.sh build test       what `make test` needs
set -eu

list=$(dirname "$0")/packages.txt
missing=""
for group in "$@"; do
	for package in $(awk -v group="$group" '$1 == group { print $2 }' "$list"); do
		status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
		[ "$status" = installed ] || missing="$missing $package"
	done
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
	echo "These Debian packages are missing; install them as root:$missing" >&2
	exit 1
fi
echo "Installing Debian packages:$missing"
export DEBIAN_FRONTEND=noninteractive
# Packages of servers must not start them: the tests start what they need, themselves.
policy=/usr/sbin/policy-rc.d
made_policy=no
if [ ! -e "$policy" ]; then
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
	made_policy=yes
fi
trap '[ "$made_policy" = no ] || rm -f "$policy"' EXIT
apt-get update -qq
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing >/dev/null
