#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The documents as HTML (./run docs): a page per document and per public header, well-formed, with
links that lead somewhere and a search that knows every heading; and a broken link is told. The
converter is tried on the forms that the documents use."""
import html.parser
import json
import os
import re
import shutil
import sys

from tap import SOURCE, done, ok, public_headers, run, scratch

sys.path.insert(0, os.path.join(SOURCE, "tools"))
import markdown  # noqa: E402, the tools' own

SAMPLES = (
    ("# A `b` *c*", '<h1 id="a-b-c">A <code>b</code> <em>c</em></h1>'),
    ("one\ntwo\n\nthree", "<p>one\ntwo</p>\n<p>three</p>"),
    ("- a\n  b\n- c", "<ul><li>a\nb</li><li>c</li></ul>"),
    ("1. a\n   - b\n2. c", "<ol><li>a\n<ul><li>b</li></ul></li><li>c</li></ol>"),
    ("3. a", '<ol start="3"><li>a</li></ol>'),
    ("- a:\n\n  ```sh\n  x <y\n  ```\n\n- b",
     '<ul><li>a:\n<pre class="sh"><code>x &lt;y</code></pre></li><li>b</li></ul>'),
    ("| a | b |\n|---|---|\n| `x|y` | **z** |",
     "<table><thead><tr><th>a</th><th>b</th></tr></thead><tbody><tr><td><code>x|y</code></td>"
     "<td><strong>z</strong></td></tr></tbody></table>"),
    ("[`a`](b.md#c) & <d>", '<p><a href="b.md#c"><code>a</code></a> &amp; &lt;d&gt;</p>'),
    ("a\\*b\\* 2 * 3 * 4", "<p>a*b* 2 * 3 * 4</p>"),
    ("<!-- from: x -->\n```c\nint a[*b];\n```", '<pre class="c"><code>int a[*b];</code></pre>'),
)
for text, wanted in SAMPLES:
    ok(markdown.to_html(text) == wanted, f"converts {text!r}", markdown.to_html(text))

site = os.path.join(scratch, "html")
status, output = run([os.path.join(SOURCE, "tools/make-html"), site])
ok(status == 0, "every link of the documents leads somewhere", output)
pages = [os.path.relpath(os.path.join(folder, name), site) for folder, _, names in os.walk(site)
         for name in names if name.endswith(".html") and name != "index.html"]
for page in ("README.html", "docs/rules.html", "docs/tutorial.html", "docs/options.html",
             "CONTRIBUTING.html"):
    ok(page in pages, f"{page} is there", pages)
ok(not [name for name in public_headers() if f"reference/{name}.html" not in pages],
   "each public header has a page", pages)

VOID = {"meta", "input", "link", "br"}


class Nesting(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.wrong = [], []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append((tag, self.getpos()))


badly = []
for page in pages:
    if page.startswith(("docs/", "reference/")) or "/" not in page:
        with open(os.path.join(site, page), encoding="utf-8") as file:
            parser = Nesting()
            parser.feed(file.read())
        if parser.wrong or parser.open:
            badly.append((page, parser.wrong[:3], parser.open))
ok(not badly, "tags are closed in order", badly)

with open(os.path.join(site, "sections.js"), encoding="utf-8") as file:
    sections = json.loads(re.fullmatch(r"const SECTIONS=(.*);\n", file.read()).group(1))
known = {where for where, _, _ in sections}
for where in ("docs/rules.html#fork", "reference/slot.h.html#neap_slot_load",
              "reference/slot.h.html#neap_set", "reference/object.h.html#neap_new",
              "reference/type.h.html#neap_type_flags", "reference/stats.h.html#neap_stats",
              "reference/neap.hpp.html#neapref", "reference/neap.hpp.html#neapmake",
              "docs/glossary.html#glossary"):
    ok(where in known, f"the search knows {where}", sorted(known)[:20])
ok(any("biased" in text for where, _, text in sections if where.startswith("docs/glossary")),
   "and what stands there")

# A tree with one link broken.
copy = os.path.join(scratch, "copy")
for folder in ("docs", "include"):
    shutil.copytree(os.path.join(SOURCE, folder), os.path.join(copy, folder))
with open(os.path.join(copy, "docs/rules.md"), "a", encoding="utf-8") as file:
    file.write("\n[x](tutorial.md#no-such-heading)\n")
status, output = run([os.path.join(SOURCE, "tools/make-html"), os.path.join(scratch, "broken")],
                     env={**os.environ, "NEAP_ROOT": copy})
ok(status == 1 and "docs/rules.md: link to docs/tutorial.html#no-such-heading" in output,
   "a link to a heading that is gone is told", output)
done()
