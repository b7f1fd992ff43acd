# SPDX-License-Identifier: MIT
#
# The smallest Nim program, for the rows `processes` (processes.c): as alone.c.
import std/os

type Thing = ref object
  other: Thing

var made = Thing()
if paramCount() > 0 and made != nil:
  stdout.writeLine "ready"
  stdout.flushFile
  discard stdin.readAll
