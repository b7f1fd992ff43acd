#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A meson project has neap as a subproject, by the wrap file that tools/make-wrap prints: it builds
the library and nothing else of neap, and its programs, C and C++, shared and static, run. The
library is compiled for this once more, fast."""
import os
import shutil

from tap import CC, CXX, SOURCE, done, ok, run, scratch, skip, succeeds, write

CONSUMERS = os.path.join(SOURCE, "tests/consumers")
project, built = os.path.join(scratch, "project"), os.path.join(scratch, "built")
shutil.copytree(os.path.join(CONSUMERS, "meson"), project)
for name in ("program.c", "program.cc", "type.c"):
    shutil.copy(os.path.join(CONSUMERS, name), project)
copy = os.path.join(scratch, "neap")
shutil.copytree(SOURCE, copy, symlinks=True, ignore=lambda folder, names: [
    name for name in names if name in (".git", ".cache", "__pycache__") or
    (folder == SOURCE and name.startswith("build"))])
maker = os.path.join(copy, "tools/make-wrap")

# ---- the wrap file ----

# Nothing of the machine's or the user's settings, and no repository above the scratch folder.
empty = write("gitconfig", "")
settings = {**os.environ, "GIT_CONFIG_GLOBAL": empty, "GIT_CONFIG_SYSTEM": empty,
            "GIT_CEILING_DIRECTORIES": scratch}
status, text = run([maker, "https://git.example/neap.git", "v1"], env=settings)
ok(status == 0 and "\nurl = https://git.example/neap.git\nrevision = v1\n" in text,
   "make-wrap names the address and revision that it is told", text)
if shutil.which("git"):
    status, text = run([maker], env=settings)
    ok(status == 1 and "no git clone" in text, "outside a clone it wants an address", text)
    git = ["git", "-C", copy, "-c", "user.name=x", "-c", "user.email=x@localhost"]
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "neap"]):
        succeeds(git + arguments, f"git {arguments[0]}", env=settings)
    head = run(git + ["rev-parse", "HEAD"], env=settings)[1].strip()
    run(git + ["remote", "add", "origin", "https://git.example/neap.git"])
    status, text = run([maker], env=settings)
    ok(f"url = https://git.example/neap.git\nrevision = {head}\n" in text,
       "in a clone it names where that came from, and its commit", text)
    run(git + ["remote", "remove", "origin"])
    write("project/subprojects/neap.wrap", run([maker], env=settings)[1])
else:
    skip("a wrap file of a clone", "no git")
    shutil.move(copy, os.path.join(project, "subprojects/neap"))
    write("project/subprojects/neap.wrap", text)

# ---- the project ----

environment = {**settings, "CC": " ".join(CC), "CXX": " ".join(CXX),
               "PKG_CONFIG_PATH": "/nonexistent"}
output = succeeds(["meson", "setup", built, project, "--buildtype=plain", "-Dwarning_level=0",
                   "--wrap-mode=forcefallback"],
                  "a project with subprojects/neap.wrap is configured", env=environment)
status, targets = run(["ninja", "-C", built, "-t", "targets", "all"])
ok("libneap.a" in targets and "tests/unit" not in targets and "tidepool" not in targets,
   "neap's tests, benchmarks and examples are no part of it", targets)
programs = ("program", "program_cpp", "program_static", "program_cpp_static")
succeeds(["ninja", "-C", built, "-j", "2", *programs], "it builds", timeout=280)
for name in programs:
    needed = run(["readelf", "-d", os.path.join(built, name)])[1]
    ok(("libneap.so.0" in needed) == ("static" not in name), f"{name}: linked as asked", needed)
    succeeds([os.path.join(built, name)], f"{name} runs")
done()
