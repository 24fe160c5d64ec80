#!/bin/sh
# Builds everything, tests and all, under the address and undefined-behaviour sanitizers.
#   scripts/build.sh gcc      in build-gcc/
#   scripts/build.sh clang    in build-clang/, with the fuzz targets
set -eu

cd "$(dirname "$0")/.."
compiler=$1
directory=build-$compiler
options="-Db_sanitize=address,undefined -Doptimization=1 -Ddebug=true"
if [ "$compiler" = clang ]; then
	options="$options -Db_lundef=false -Dfuzzing=true"
fi

if [ ! -f "$directory/build.ninja" ]; then
	rm -rf "$directory"
	# shellcheck disable=SC2086
	CC=$compiler meson setup "$directory" $options
fi
ninja -C "$directory"
