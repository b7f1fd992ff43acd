# SPDX-License-Identifier: MIT
"""The Markdown that this repository's documents use, as HTML: headings with GitHub's anchors,
paragraphs, lists in lists, tables, fenced code, links, inline code, bold, emphasis. HTML comments
are left out."""
import html
import re

BULLET = re.compile(r"( *)([-*]|\d+\.) +")
FENCE = re.compile(r"^( *)```(\S*)\s*$")


def anchor_of(heading):
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")


def inline(text, link):
    """One run of text. link(target) is what an href becomes."""
    pieces = re.split(r"(`[^`]+`)", text)
    kept = []

    def keep(piece):
        kept.append(piece)
        return f"\0{len(kept) - 1}\0"

    joined = "".join(keep(f"<code>{html.escape(piece[1:-1])}</code>")
                     if len(piece) > 2 and piece[0] == piece[-1] == "`" else piece
                     for piece in pieces)
    joined = re.sub(r"\\([*\[\]|#-])", lambda match: keep(match.group(1)), joined)
    out = html.escape(joined, quote=False)
    out = re.sub(r"\[([^\]]*)\]\(([^)\s]+)\)", lambda match: keep(
        f'<a href="{html.escape(link(html.unescape(match.group(2))))}">') + match.group(1) +
        keep("</a>"), out)
    out = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", out)
    out = re.sub(r"(?<![\w*])\*([^*\s][^*]*)\*(?!\w)", r"<em>\1</em>", out)
    while "\0" in out:
        out = re.sub("\0(\\d+)\0", lambda match: kept[int(match.group(1))], out)
    return out


def cells(row):
    row = re.sub(r"`[^`]*`", lambda match: match.group().replace("|", "\1"), row.strip()).strip("|")
    return [cell.strip().replace("\1", "|").replace("\\|", "|") for cell in
            re.split(r"(?<!\\)\|", row)]


def table(rows, link):
    head, body = cells(rows[0]), [cells(row) for row in rows[2:]]
    out = "<table><thead><tr>" + "".join(f"<th>{inline(c, link)}</th>" for c in head)
    out += "</tr></thead><tbody>"
    for row in body:
        out += "<tr>" + "".join(f"<td>{inline(c, link)}</td>" for c in row) + "</tr>"
    return out + "</tbody></table>"


def listing(lines, link):
    """The items of one list; each item's further lines are indented under it."""
    indent, mark = BULLET.match(lines[0]).group(1, 2)
    tag, items = ("ol" if mark[0].isdigit() else "ul"), []
    for line in lines:
        match = BULLET.match(line)
        if match and match.group(1) == indent:
            items.append([line[match.end():]])
        else:
            items[-1].append(line)
    first = f' start="{mark[:-1]}"' if mark[0].isdigit() and mark != "1." else ""
    out = f"<{tag}{first}>"
    for item in items:
        rest = [len(line) - len(line.lstrip()) for line in item[1:] if line.strip()]
        cut = min(rest, default=0)
        inner = blocks([item[0]] + [line[cut:] for line in item[1:]], link)
        if inner.startswith("<p>") and inner.count("<p>") == 1:
            inner = inner.replace("<p>", "", 1).replace("</p>", "", 1)
        out += f"<li>{inner}</li>"
    return out + f"</{tag}>"


def end_of_list(lines, at):
    """A list goes on over blank lines as long as what follows is indented or a further item."""
    indent = len(BULLET.match(lines[at]).group(1))
    kind, end, fenced = BULLET.match(lines[at]).group(2)[0].isdigit(), at, False
    for number in range(at, len(lines)):
        line = lines[number]
        deeper = len(line) - len(line.lstrip()) > indent
        match = BULLET.match(line)
        goes_on = deeper or fenced or (match and len(match.group(1)) == indent and
                                       match.group(2)[0].isdigit() == kind)
        if line.strip() and not goes_on and (not lines[number - 1].strip() or
                                             line.startswith(("#", "|", "```", "<!--"))):
            break
        if FENCE.match(line):
            fenced = not fenced
        if line.strip():
            end = number + 1
    return end


def blocks(lines, link):
    out, at = [], 0
    while at < len(lines):
        line = lines[at]
        fence, heading = FENCE.match(line), re.match(r"(#+) +(.*?) *$", line)
        start = at
        if not line.strip() or re.match(r"\s*<!--.*-->\s*$", line):
            at += 1
        elif fence:
            at += 1
            while at < len(lines) and not re.match(r" *```\s*$", lines[at]):
                at += 1
            code = "\n".join(each[len(fence.group(1)):] for each in lines[start + 1:at])
            out.append(f'<pre class="{html.escape(fence.group(2))}"><code>{html.escape(code)}'
                       "</code></pre>")
            at += 1
        elif heading:
            level, text = len(heading.group(1)), heading.group(2)
            out.append(f'<h{level} id="{html.escape(anchor_of(text))}">{inline(text, link)}'
                       f"</h{level}>")
            at += 1
        elif line.lstrip().startswith("|"):
            while at < len(lines) and lines[at].lstrip().startswith("|"):
                at += 1
            out.append(table(lines[start:at], link))
        elif BULLET.match(line):
            at = end_of_list(lines, at)
            out.append(listing(lines[start:at], link))
        elif line.startswith("    "):
            while at < len(lines) and (lines[at].startswith("    ") or not lines[at].strip()):
                at += 1
            code = "\n".join(each[4:] for each in lines[start:at]).rstrip()
            out.append(f"<pre><code>{html.escape(code)}</code></pre>")
        else:
            while at < len(lines) and lines[at].strip() and not (at > start and (
                    FENCE.match(lines[at]) or lines[at].startswith(("#", "|", "<!--")) or
                    BULLET.match(lines[at]))):
                at += 1
            out.append(f"<p>{inline(chr(10).join(each.strip() for each in lines[start:at]), link)}"
                       "</p>")
    return "\n".join(out)


def to_html(text, link=lambda target: target):
    return blocks(text.split("\n"), link)
