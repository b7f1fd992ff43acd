#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A meson project has neap as a subproject, by its wrap file: it builds the library and nothing else
of neap, and its programs, C and C++, run. The library is compiled for this once more, fast."""
import os
import shutil

from tap import CC, CXX, SOURCE, done, ok, run, scratch, succeeds

CONSUMERS = os.path.join(SOURCE, "tests/consumers")
project, built = os.path.join(scratch, "project"), os.path.join(scratch, "built")
shutil.copytree(os.path.join(CONSUMERS, "meson"), project)
for name in ("program.c", "program.cc", "type.c"):
    shutil.copy(os.path.join(CONSUMERS, name), project)
shutil.copytree(SOURCE, os.path.join(project, "subprojects/neap"), symlinks=True,
                ignore=lambda folder, names: [
                    name for name in names if name in (".git", ".cache", "__pycache__") or
                    (folder == SOURCE and name.startswith("build"))])
environment = {**os.environ, "CC": " ".join(CC), "CXX": " ".join(CXX),
               "PKG_CONFIG_PATH": "/nonexistent"}
output = succeeds(["meson", "setup", built, project, "--buildtype=plain", "-Dwarning_level=0",
                   "--wrap-mode=forcefallback", "-Dneap:default_library=static"],
                  "a project with subprojects/neap.wrap is configured", env=environment)
status, targets = run(["ninja", "-C", built, "-t", "targets", "all"])
ok("libneap.a" in targets and "tests/unit" not in targets and "tidepool" not in targets,
   "neap's tests, benchmarks and examples are no part of it", targets)
succeeds(["ninja", "-C", built, "-j", "2", "program", "program_cpp"], "it builds", timeout=280)
for name in ("program", "program_cpp"):
    succeeds([os.path.join(built, name)], f"{name} runs")
done()
