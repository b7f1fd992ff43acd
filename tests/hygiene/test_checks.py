#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The checks find what they are for: each is run on a copy of the tree with one thing broken. The
unbroken copy passes, so that a complaint is about the break."""
import os
import shutil

from tap import SOURCE, done, ok, run, scratch

copy = os.path.join(scratch, "copy")
shutil.copytree(SOURCE, copy, symlinks=True, ignore=lambda folder, names: [
    name for name in names if name in (".git", ".cache", "__pycache__") or
    (folder == SOURCE and name.startswith("build"))])


def check(tool):
    return run([os.path.join(SOURCE, "tools", tool)], env={**os.environ, "NEAP_ROOT": copy,
                                                       "NEAP_COMPLAINTS": "100000"})


def replace(old, new):
    def edit(text):
        assert old in text, f"{old!r} is gone from the file that the test breaks"
        return text.replace(old, new, 1)
    return edit


def append(text):
    return lambda old: old + text


def with_break(path, edit, look):
    """What look() returns while the file in the copy is edited."""
    file = os.path.join(copy, path)
    before = None
    if os.path.exists(file):
        with open(file, encoding="utf-8") as opened:
            before = opened.read()
    with open(file, "w", encoding="utf-8") as opened:
        opened.write(edit(before or ""))
    found = look()
    if before is None:
        os.remove(file)
    else:
        with open(file, "w", encoding="utf-8") as opened:
            opened.write(before)
    return found


def breaks(tool, what, path, edit, complaint):
    status, output = with_break(path, edit, lambda: check(tool))
    ok(status == 1 and complaint in output, f"{tool} finds {what}", f"status {status}\n{output}")


for tool in ("check-layers", "check-docs", "check-programs", "check-style"):
    status, output = check(tool)
    ok(status == 0, f"{tool} passes on the tree as it is", output)

for path, line in (("alloc/heap.h", '#include "threads/thread.h"'),
                   ("base/list.h", '#include "alloc/heap.h"'),
                   ("include/neap/status.h", '#include "base/list.h"')):
    breaks("check-layers", f"{path} with {line}", path, append(line + "\n"), path)
breaks("check-layers", "an include that is no path from the root", "alloc/heap.h",
       append('#include "pool.h"\n'), "not a path from the root")

breaks("check-docs", "a function without its contract", "include/neap/block.h",
       replace("| threads: any |", "|"), "the comment does not end in a line")
breaks("check-docs", "a function without a comment", "include/neap/gc.h",
       replace("NEAP_PUBLIC void neap_gc_enable(void);",
               "\nNEAP_PUBLIC void neap_gc_pause(void);\nNEAP_PUBLIC void neap_gc_enable(void);"),
       "neap_gc_pause has no comment")
breaks("check-docs", "an option changed in the table only", "include/neap/options.h",
       replace("X(decay_ms, 100,", "X(decay_ms, 1001,"), "differs from the table")
breaks("check-docs", "a tag without a partner", "alloc/heap.h",
       append("/* [MM-lonely-1] */\n"), "MM-lonely-1")
breaks("check-docs", "an ordered access without a tag", "alloc/new.h",
       append("/* x */\n\n\n\n\n\n\n\n\n\nint f(int *p) { return np_load_acquire(p); }\n"),
       "np_load_acquire without")
breaks("check-docs", "a section on a tag that is gone", "docs/memory-model.md",
       append("\n### MM-gone-1\n"), "MM-gone-1 stands nowhere")
breaks("check-docs", "a link to a file that is not there", "README.md",
       append("\n[x](docs/gone.md)\n"), "gone.md")
breaks("check-docs", "a link to a heading that is not there", "README.md",
       append("\n[x](#gone)\n"), "#gone")
breaks("check-docs", "a quotation that differs from its file", "README.md",
       append("\n<!-- from: run -->\n```sh\nno such line\n```\n"), "does not stand in run")
breaks("check-docs", "code in a document that nobody runs", "docs/tutorial.md",
       append("\n```c\nneap_new(x);\n```\n"), "code that no test runs")
breaks("check-programs", "a program that does not compile", "README.md",
       replace("neap_set(&ann->partner, bob);", "neap_set(&ann->husband, bob);"), "husband")
breaks("check-docs", "a language that no test knows", "docs/tutorial.md",
       append("\n```perl\nprint;\n```\n"), "a block of perl")
breaks("check-docs", "a command of ./run that is gone", "docs/guides.md",
       append("\n```sh\n./run brew\n```\n"), "no command brew")
breaks("check-docs", "a command of tools/neap that is gone", "docs/guides.md",
       replace("tools/neap top", "tools/neap bottom"), "no command bottom")
breaks("check-docs", "a name that the code does not have", "docs/tour.md",
       replace("`np_heap_take_slow`", "`np_heap_took`"), "np_heap_took is no name")
breaks("check-docs", "a file that is gone", "docs/tour.md",
       replace("`runtime/object.c`", "`runtime/objects.c`"), "no file runtime/objects.c")
breaks("check-docs", "a header's example that no test runs", "include/neap/slot.h",
       replace("neap_clear(&list->head);", "neap_clear(&list->tail);"), "slot.h: the example's")
breaks("check-docs", "a document that no index names", "docs/orphan.md", append("# x\n"),
       "orphan.md")

breaks("check-style", "a missing licence line", "alloc/new.h", append("int x;\n"), "SPDX")
breaks("check-style", "a wide line", "run", append("#" * 101 + "\n"), "101 columns")
breaks("check-style", "a long file", "tests/tap.c", append("\n" * 900 + "/* */\n"), "at most 900")
breaks("check-style", "a tab", "run", append("\t:\n"), "a tab")
breaks("check-style", "trailing spaces", "run", append(": \n"), "spaces at the end")
breaks("check-style", "half a merge", "run", append("<" * 7 + " HEAD\n"), "a merge left")
breaks("check-style", "unfinished work", "run", append("# TO" + "DO later\n"), "unfinished work")
breaks("check-scripts", "a script that does not parse", "run", append("if\n"), "run")
if shutil.which("clang-format-14"):
    breaks("check-format", "code formatted otherwise", "alloc/new.h", append("int  x;\n"),
           "alloc/new.h")

# ---- all of it: tools/check, which ./run check starts ----

# The linters need a minute and have found nothing to say above; here they are content.
for tool in ("check-format", "check-scripts", "check-style", "check-tidy", "check-cppcheck"):
    with open(os.path.join(copy, "tools", tool), "w", encoding="utf-8") as file:
        file.write("#!/bin/sh\n# SPDX-License-Identifier: MIT\nexit 0\n")


def check_all():
    return run([os.path.join(copy, "tools/check"), scratch])


status, output = check_all()
total = output.count("\nok ") + output.startswith("ok ")
ok(status == 0 and total >= 7 and output.endswith(f"{total} passed, 0 failed\n"),
   "./run check passes on the tree as it is", f"status {status}\n{output}")
for what, path, edit in (
        ("docstring line", "include/neap/object.h", replace("| threads: attached |", "|")),
        ("option", "include/neap/options.h", replace("X(finalize_ms, 100,", "X(finalize_ms, 99,")),
        ("memory-model tag", "runtime/count.c", replace("[MM-merge-1]", "[MM-marge-1]")),
        ("layer", "alloc/pool.c", append('#include "runtime/type.h"\n')),
        ("code block", "README.md", replace("neap_new(person), *bob", "neap_now(person), *bob")),
        ("link", "README.md", replace("(docs/limits.md)", "(docs/limit.md)"))):
    status, output = with_break(path, edit, check_all)
    ok(status == 1 and output.endswith(f"{total - 1} passed, 1 failed\n"),
       f"./run check fails when a {what} is broken", f"status {status}\n{output}")
done()
