#!/bin/sh
# Installs the Debian packages of the named groups (scripts/packages.txt), and only those
# that are missing. Says what it does.
#   scripts/setup.sh build            what `make` and `make run` need
#   scripts/setup.sh build test       what `make test` needs, with what runs in a browser (tests/browser)
set -eu

list=$(dirname "$0")/packages.txt
browser=$(dirname "$0")/../tests/browser
missing=""

# Under a lock, and again only when the list has changed.
browser_install() {
	exec 9>"$browser/.lock"
	flock 9
	if ! cmp -s "$browser/package-lock.json" "$browser/node_modules/.installed"; then
		echo "Installing what tests/browser/package-lock.json lists"
		(cd "$browser" && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error)
		cp "$browser/package-lock.json" "$browser/node_modules/.installed"
	fi
}

# After the packages, whether any was missing or not.
finish() {
	case " $groups " in *" test "*) browser_install ;; esac
	exit 0
}

groups=$*
# What an installed package stands for (nodejs of other sources brings npm along).
provided=$(dpkg-query -W -f '${db:Status-Status} ${Provides}\n' | sed -n 's/^installed //p' | sed 's/ ([^)]*)//g' | tr -s ', ' '\n')
for group in "$@"; do
	for package in $(awk -v group="$group" '$1 == group { print $2 }' "$list"); do
		status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
		[ "$status" = installed ] || printf '%s\n' "$provided" | grep -qxF "$package" || missing="$missing $package"
	done
done
[ -n "$missing" ] || finish

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
finish
