#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The test programs can be read by prove as well as by meson."""
import os
import shutil

from tap import BUILD, done, ok, run, skip

if shutil.which("prove") is None:
    skip("prove reads a test program", "no prove (package perl)")
else:
    program = os.path.join(BUILD, "tests/unit/test_tap")
    status, output = run(["prove", "--exec", "", program])
    ok(status == 0 and "Result: PASS" in output, "prove reads a test program", output)
    status, output = run(["prove", "--exec", "", program, "::", "fails"])
    ok(status != 0 and "Failed 3/5 subtests" in output, "and sees what failed", output)
done()
