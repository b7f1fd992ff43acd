#!/bin/sh
# SPDX-License-Identifier: MIT
#
# usage: jemalloc.sh ARCHIVE OUTPUT.o
#
# Makes one object file of Debian's position-independent jemalloc archive in which nothing is
# visible but the five functions that large_jemalloc.c calls, under the prefix np_je_. malloc, free
# and their kin become local: they neither replace the host's nor are called by the rest of libneap.
# The C++ operators are left out.
set -eu

archive=$1
output=$2
work=$(mktemp -d "${TMPDIR:-/tmp}/neap-jemalloc.XXXXXX")
trap 'rm -rf "$work"' EXIT INT TERM

archive=$(cd "$(dirname "$archive")" && pwd)/$(basename "$archive")
(cd "$work" && ar x "$archive" && rm -f jemalloc_cpp*.o)
ld -r -o "$work/all.o" "$work"/*.o

set --
for name in mallocx rallocx sdallocx sallocx mallctl; do
    set -- "$@" --redefine-sym "$name=np_je_$name" --keep-global-symbol "np_je_$name"
done
objcopy "$@" --strip-debug "$work/all.o" "$output"
