# SPDX-License-Identifier: MIT
"""The public headers as data: per header its opening comment and its items, in order: functions,
macros, types, each with its comment. tools/make-man and tools/make-html print them."""
import re

import tree

COMMENT = r"(?P<comment>/\*(?:(?!\*/).)*\*/)[ \t]*\n"
ITEM = re.compile(
    COMMENT + r"(?P<text>"
    r"(?:extern )?NEAP_PUBLIC\b[^;{]*;"                                   # a function
    r"|#[ ]*define (?:NEAP_[A-Z_0-9]*[A-Z0-9]|neap_\w*[a-z0-9])\b(?:[^\n]*\\\n)*[^\n]*"  # a macro
    r"|(?:struct|enum|typedef)\b[^;{]*(?:\{[^}]*\}[^;]*)?;"               # a type
    r")", re.S)
CONTRACT = re.compile(r"^refs: .*\| fails: ", re.S)


class Item:
    """One documented name: kind is function, macro or type."""

    def __init__(self, kind, name, declaration, paragraphs, contract):
        self.kind, self.name, self.declaration = kind, name, declaration
        self.paragraphs, self.contract = paragraphs, contract


class Header:
    def __init__(self, name, brief, paragraphs, items, names):
        self.name, self.brief, self.paragraphs = name, brief, paragraphs
        self.items, self.names = items, names


def paragraphs_of(comment):
    """The text of a comment: (is code, lines). Code is what is indented by four and more."""
    lines = [re.sub(r"^ ?\* ?", "", line) for line in comment.strip()[2:-2].split("\n")]
    lines = [re.sub(r"\s+$", "", line) for line in lines]
    lines[0] = lines[0].lstrip()
    found, current, was_code = [], [], False
    for line in lines + [""]:
        if "SPDX-License-Identifier" in line:
            continue
        is_code = line.startswith("    ")
        if current and (not line.strip() or is_code != was_code):
            found.append((was_code, current))
            current = []
        if line.strip():
            was_code = is_code
            current = current + [line[4:] if is_code else line.strip()]
    return found


def name_in(text):
    if text.startswith("#"):
        return "macro", re.match(r"#\s*define (\w+)", text).group(1)
    plain = re.sub(r"__attribute__\s*\(\(.*?\)\)", "", text)
    if "NEAP_PUBLIC" in plain:
        match = re.search(r"(\w+)\s*\(", plain)
        return ("function", match.group(1)) if match else ("variable", None)
    match = re.match(r"(?:struct|enum) (\w+)", plain) or re.search(r"\b(\w+)\s*\(", plain)
    return ("type", match.group(1)) if match else ("type", None)


def declaration_of(kind, text):
    if kind == "macro":
        return re.match(r"#\s*define (\w+(?:\([^)]*\))?)", text).group(1)
    if kind == "type":
        return text
    return " ".join(re.sub(r"\b(?:extern |NEAP_PUBLIC |NEAP_NODISCARD )", "", text).split())


def items_of(text):
    for match in ITEM.finditer(text):
        kind, name = name_in(match["text"])
        if name is None or name.endswith("_") or kind == "variable":
            continue
        paragraphs = paragraphs_of(match["comment"])
        contract = ""
        if paragraphs and not paragraphs[-1][0]:
            last = paragraphs[-1][1]
            at = next((i for i, line in enumerate(last) if line.startswith("refs: ")), None)
            if at is not None:
                contract = " ".join(last[at:])
                paragraphs[-1] = (False, last[:at])
        yield Item(kind, name, declaration_of(kind, match["text"]),
                   [p for p in paragraphs if p[1]], contract)


def header(path):
    text = tree.text_of(path)
    opening = re.match(r"/\*.*?\*/", text, re.S).group()
    paragraphs = paragraphs_of(opening)
    words = " ".join(paragraphs[0][1])
    brief = re.match(r"(.*?)\.(?:\s|$)", words)
    body = text[len(opening):]
    items = list(items_of(body))
    names = {item.name for item in items}
    names.update(re.findall(r"^# *define (neap_\w*[a-z0-9])\(", body, re.M))
    plain = re.sub(r"/\*.*?\*/", "", body, flags=re.S)
    names.update(re.findall(r"NEAP_PUBLIC\b[^;]*?\b(neap_\w+)\s*\(", plain))
    brief = re.sub(r"^neap: ", "", brief.group(1) if brief else words)
    return Header(path.rpartition("/")[2], brief, paragraphs, items, names)


def headers():
    """All, in the order in which the umbrella includes them; what it does not include comes last."""
    umbrella = re.findall(r"^#include <neap/(\S+)>", tree.text_of("include/neap/neap.h"), re.M)
    here = [path.rpartition("/")[2] for path in tree.files(".h", ".hpp", under=("include/neap",))]
    order = ["neap.h"] + umbrella + [name for name in here if name not in umbrella + ["neap.h"]]
    return [header(f"include/neap/{name}") for name in order]
