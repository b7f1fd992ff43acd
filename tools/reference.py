# SPDX-License-Identifier: MIT
"""The public headers as data: per header its opening comment and its items, in order: functions,
macros, types, each with its comment. A macro without a comment that gives a function its types, as
neap_get does for neap_slot_get, has the function's; an enum or struct needs none: its members have
theirs.
tools/make-man and tools/make-html print them."""
import re

import tree

COMMENT = r"(?P<comment>/\*(?:(?!\*/).)*\*/)[ \t]*\n"
ITEM = re.compile(
    COMMENT + r"(?P<text>"
    r"(?:extern )?NEAP_PUBLIC\b[^;{]*;"                                   # a function
    r"|#[ ]*define (?:NEAP_[A-Z_0-9]*[A-Z0-9]|neap_\w*[a-z0-9])\b(?:[^\n]*\\\n)*[^\n]*"  # a macro
    r"|static inline\b[^;{]*(?=\{)"                                       # a function, inline
    r"|(?:struct|enum|typedef)\b[^;{]*(?:\{[^}]*\}[^;]*)?;"               # a type
    r")", re.S)
BARE_TYPE = re.compile(r"^(?P<text>(?:enum|struct) \w+ \{.*?^\};)", re.M | re.S)
BARE_MACRO = re.compile(r"^# *define (?P<call>(?P<name>neap_\w*[a-z0-9])\([^)]*\))"
                        r"(?P<body>(?:[^\n]*\\\n)*[^\n]*)", re.M)
HIDDEN = re.compile(r"^namespace detail\n\{.*?^\} // namespace detail\n", re.M | re.S)
CPP_CLASS = re.compile(r"^" + COMMENT + r"(?P<head>(?:template <[^\n]*>\s)?class (?P<name>\w+))\n\{\n"
                       r"  public:\n(?P<body>.*?)^\};", re.M | re.S)
CPP_FUNCTION = re.compile(r"^" + COMMENT + r"(?P<text>template <[^\n]*>\s[^;{]*?\b(?P<name>\w+)\("
                          r"[^;{]*?)\n\{", re.M | re.S)
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
    if "NEAP_PUBLIC" in plain or plain.startswith("static inline"):
        match = re.search(r"(\w+)\s*\(", plain)
        return ("function", match.group(1)) if match else ("variable", None)
    match = re.match(r"(?:struct|enum) (\w+)", plain) or re.search(r"\b(\w+)\s*\(", plain)
    return ("type", match.group(1)) if match else ("type", None)


def declaration_of(kind, text):
    if kind == "macro":
        return re.match(r"#\s*define (\w+(?:\([^)]*\))?)", text).group(1)
    if kind == "type":
        return text
    words = r"\b(?:extern |NEAP_PUBLIC |NEAP_NODISCARD |static inline )"
    return " ".join(re.sub(words, "", text).split()).rstrip(";") + ";"


def items_of(text):
    for match in ITEM.finditer(text):
        kind, name = name_in(match["text"])
        if kind == "macro" and re.search(rf"^# *undef {name}\b", text, re.M):
            continue  # of this header alone
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
        if match["text"].startswith("static inline") and not contract:
            continue  # a part of a macro
        yield match.start(), Item(kind, name, declaration_of(kind, match["text"]),
                                  [p for p in paragraphs if p[1]], contract)


def aliased(name, body, functions):
    """The function that a macro is the typed face of."""
    for full in [name.replace("neap_", "neap_object_", 1), name.replace("neap_", "neap_slot_", 1),
                 name + "_at", name + "_sized"] + re.findall(r"\bneap_\w+", body):
        for found in (full, full.removesuffix("_at")):
            if found in functions:
                return functions[found]
    return None


def bare_items_of(text, items):
    """What has no comment of its own."""
    documented = {item.name for _, item in items}
    functions = {item.name: item for _, item in items if item.kind == "function"}
    for match in BARE_TYPE.finditer(text):
        name = name_in(match["text"])[1]
        if name not in documented and not name.endswith("_"):
            yield match.start(), Item("type", name, match["text"], [], "")
    for match in BARE_MACRO.finditer(text):
        function = aliased(match["name"], match["body"], functions)
        if match["name"] not in documented and function is not None:
            documented.add(match["name"])
            yield match.start(), Item("macro", match["name"], match["call"],
                                      function.paragraphs, function.contract)


def signatures(body):
    """The public part of a class without the functions' bodies."""
    body = body.split("\n  private:")[0]
    body = re.sub(r"\n    \{\n(?:.*?\n)??    \}", ";", body, flags=re.S)
    body = re.sub(r"\)( noexcept)?\s+: [^;]*;", r")\1;", body)
    body = re.sub(r"\n    static constexpr [^\n]*", "", body)
    return re.sub(r"\n{3,}", "\n\n", body).strip("\n")


def cpp_items_of(text):
    """C++ classes and function templates of namespace neap that have a comment."""
    text = HIDDEN.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)
    for match in CPP_CLASS.finditer(text):
        declaration = f"{match['head']} {{\n{signatures(match['body'])}\n}};"
        yield match.start(), Item("type", f"neap::{match['name']}", declaration,
                                  paragraphs_of(match["comment"]), "")
    for match in CPP_FUNCTION.finditer(text):
        yield match.start(), Item("function", f"neap::{match['name']}",
                                  " ".join(match["text"].split()) + ";",
                                  paragraphs_of(match["comment"]), "")


def header(path):
    text = tree.text_of(path)
    opening = re.match(r"/\*.*?\*/", text, re.S).group()
    paragraphs = paragraphs_of(opening)
    words = " ".join(paragraphs[0][1])
    brief = re.match(r"(.*?)\.(?:\s|$)", words)
    body = text[len(opening):]
    placed = list(items_of(body))
    placed += bare_items_of(body, placed)
    if path.endswith(".hpp"):
        placed += cpp_items_of(body)
    items = [item for _, item in sorted(placed, key=lambda pair: pair[0])]
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
