# SPDX-License-Identifier: MIT
"""What the checks share: which files belong to the tree, the programs that documents show, and how a
complaint is reported."""
import os
import re
import sys

ROOT = os.environ.get("NEAP_ROOT") or os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FLOORS = ("base", "alloc", "threads", "runtime", "collector", "observe", "monitor")
C_FILES = (".c", ".h", ".cc", ".hpp")
PROGRAM = re.compile(
    r"(?P<quoted><!-- from: \S+ -->\n)?^```(?P<language>c|cpp)\n(?P<code>.*?)^```", re.S | re.M)


def files(*endings, under=("",)):
    """Paths from the root, sorted, of the files with one of the endings; build trees left out."""
    found = []
    for top in under:
        for folder, folders, names in os.walk(os.path.join(ROOT, top)):
            at_root = os.path.samefile(folder, ROOT)
            folders[:] = sorted(f for f in folders if f not in (".git", ".cache", "__pycache__")
                                and not (at_root and f.startswith("build")))
            for name in sorted(names):
                path = os.path.relpath(os.path.join(folder, name), ROOT)
                if not endings or name.endswith(endings):
                    found.append(path)
    return sorted(set(found))


def text_of(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def programs():
    """(document, line, language, code) of each fenced block that is a program of its own: c or cpp,
    at the margin, and not quoted from a file."""
    for path in files(".md"):
        text = text_of(path)
        for match in PROGRAM.finditer(text):
            if not match["quoted"]:
                line = text.count("\n", 0, match.start()) + 1
                yield path, line, match["language"], match["code"]


def exists(path):
    return os.path.exists(os.path.join(ROOT, path))


class Complaints:
    """Collects "file:line: what" and turns them into an exit status."""

    def __init__(self):
        self.count = 0

    MOST_SHOWN = int(os.environ.get("NEAP_COMPLAINTS", 40))

    def add(self, path, line, what):
        self.count += 1
        if self.count <= self.MOST_SHOWN:
            print(f"{path}:{line}: {what}" if line else f"{path}: {what}")

    def exit(self):
        if self.count > self.MOST_SHOWN:
            print(f"... and {self.count - self.MOST_SHOWN} more")
        sys.exit(1 if self.count else 0)
