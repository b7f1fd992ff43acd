# SPDX-License-Identifier: MIT
"""One HTML page from the figures that bench/run-bench wrote: no scripts, nothing loaded from elsewhere.

Each row is a bar per peer, shortest first: the bar is the median, the line over it the range of the repetitions.
Bars start at 0; a bar too long for its row is cut and says so, so that one slow peer does not flatten the others.
"""
import html
import math
import statistics

STYLE = '''
body { font: 15px/1.45 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
h1 { font-size: 1.6rem; margin-bottom: 0.2rem; } h2 { margin-top: 2.4rem; border-bottom: 1px solid #ccc; }
h3 { font-size: 1rem; margin: 1.4rem 0 0.3rem; } .small { color: #666; font-size: 0.85rem; }
table { border-collapse: collapse; width: 100%; font-size: 0.9rem; font-variant-numeric: tabular-nums; }
td, th { padding: 0.12rem 0.5rem 0.12rem 0; text-align: left; vertical-align: middle; white-space: nowrap; }
td.n, th.n { text-align: right; } td.more { white-space: normal; color: #666; font-size: 0.8rem; }
table.row { table-layout: fixed; } table.row td:nth-child(1) { width: 9.5rem; }
table.row td:nth-child(2) { width: 4.8rem; } table.row td:nth-child(3) { width: 4.5rem; }
table.row td:nth-child(4) { width: 20rem; }
tr.ours td { font-weight: 600; } tr.ours td.more { font-weight: normal; }
.hit { color: #17713a; } .miss { color: #b3261e; }
td svg { display: block; width: 100%; height: 15px; } svg.plot { width: 100%; max-width: 46rem; height: auto; }
svg.plot text { font-size: 13px; fill: currentColor; } svg.plot .grid { stroke: #8884; }
nav { columns: 3; font-size: 0.9rem; } nav a { display: block; } a { color: inherit; }
.wide { overflow-x: auto; } .wide td { padding-right: 0.8rem; }
@media (max-width: 46rem) { body { margin-top: 1rem; } nav { columns: 1; } nav a { padding: 0.25rem 0; }
table.row, table.row tbody { display: block; } table.row tr { display: grid; padding-bottom: 0.5rem;
grid-template-columns: 1fr auto 4.2rem; } table.row td:nth-child(n) { width: auto; padding-right: 0; }
table.row td.bar, table.row td.more { grid-column: 1 / -1; } h3 { overflow-wrap: anywhere; } }
@media (prefers-color-scheme: dark) { body { background: #161616; color: #ddd; } h2 { border-color: #444; }
.small, td.more { color: #999; } .hit { color: #5fd38d; } .miss { color: #ff8a80; } }
'''
UNITS = {'time': 'per operation', 'instructions': 'instructions per operation',
         'p99_us': '99 of 100 requests within so many µs of when they were due',
         'cpu_us_per_s': 'µs of processor time per idle second'}
QUESTIONS = {
    'counting': 'One more reference, one less', 'slots': 'Reading through a pointer that others replace',
    'weak': 'Weak references', 'map': 'A map that threads share', 'channel': 'A message to another thread',
    'containers': 'Attributes named at run time, generators', 'alloc': 'A block, from birth to death',
    'workloads': 'The workloads of papers on allocators', 'messages': 'Made here, dropped there',
    'death': 'How long the program stands still when much dies', 'blocked': 'Memory whose owner sleeps',
    'threads': 'Polls, attaching, stopping the world', 'collect': 'Cycles, collections, trees',
    'load': 'A server under load: answering times',
    'pauses': 'How long the world stands still', 'processes': 'Starting, and doing nothing',
    'instructions': 'Instructions, counted'}
MARKS = [('p50_us', '50 %'), ('p90_us', '90 %'), ('p99_us', '99 %'), ('p999_us', '99.9 %'), ('max_us', 'longest')]
HUES = ['#e08a00', '#7a52a3', '#2e8b57', '#c0392b', '#00838f', '#8d6e63']
WIDTH, CUT = 1000, 4  # of the drawing; a bar is cut at CUT times the row's median peer


def duration(ns):
    for unit, size in (('s', 1e9), ('ms', 1e6), ('µs', 1e3)):
        if ns >= size:
            return f'{ns / size:.3g} {unit}'
    return f'{ns:.3g} ns'


def bar(values, limit, ours):
    middle = statistics.median(values)
    scale = WIDTH / limit
    end = min(middle * scale, WIDTH)
    colour = '#2a6fdb' if ours else '#9aa5b1'
    parts = [f'<rect x="0" y="2" width="{end:.1f}" height="11" fill="{colour}"/>']
    low, high = min(min(values) * scale, WIDTH), min(max(values) * scale, WIDTH)
    parts.append(f'<path d="M{low:.1f} 7.5H{high:.1f}M{low:.1f} 4V11M{high:.1f} 4V11" stroke="#e08a00" '
                 'stroke-width="2" vector-effect="non-scaling-stroke"/>')
    if middle * scale > WIDTH:
        parts.append(f'<path d="M{WIDTH - 30} 0l10 15M{WIDTH - 20} 0l10 15" stroke="#fff" stroke-width="5"/>')
    return (f'<svg viewBox="0 0 {WIDTH} 15" preserveAspectRatio="none" role="img" '
            f'aria-label="median {middle:.3g}">{"".join(parts)}</svg>')


def latency_plot(peers, is_ours, number):
    """Answering times at the marks, a line per peer, on a logarithmic scale."""
    known = {peer: [statistics.median(found[key]) for key, _ in MARKS] for peer, found in peers.items()
             if all(found.get(key) for key, _ in MARKS)}
    if not known:
        return ''
    least = math.floor(math.log10(max(min(map(min, known.values())), 0.1)))
    most = math.ceil(math.log10(max(max(map(max, known.values())), 1)))
    most = max(most, least + 1)
    left, right, top, bottom = 80, 560, 14, 250

    def place(index, value):
        share = (math.log10(max(value, 10 ** least)) - least) / (most - least)
        return left + index * (right - left) / (len(MARKS) - 1), bottom - share * (bottom - top)
    parts = []
    for power in range(least, most + 1):
        y = place(0, 10 ** power)[1]
        words = f'{10 ** power:g} µs' if power < 3 else f'{10 ** (power - 3):g} ms'
        parts.append(f'<path class="grid" d="M{left} {y:.0f}H{right}"/>'
                     f'<text x="{left - 8}" y="{y + 4:.0f}" text-anchor="end">{words}</text>')
    for index, (_, words) in enumerate(MARKS):
        parts.append(f'<text x="{place(index, 1)[0]:.0f}" y="{bottom + 20}" text-anchor="middle">{words}</text>')
    hues, label = iter(HUES * 3), top - 10
    for peer, values in sorted(known.items(), key=lambda pair: -pair[1][-1]):
        hue = '#2a6fdb' if is_ours(peer) else next(hues)
        points = [place(index, value) for index, value in enumerate(values)]
        label = max(label + 16, points[-1][1] + 4)
        parts.append(f'<polyline fill="none" stroke="{hue}" stroke-width="{3.5 if is_ours(peer) else 1.8}" points="'
                     + ' '.join(f'{x:.0f},{y:.0f}' for x, y in points) + '"/>'
                     f'<text x="{right + 10}" y="{label:.0f}" style="fill:{hue}">{html.escape(peer)} '
                     f'{number(values[2])}, {number(values[-1])}</text>')
    return (f'<svg class="plot" viewBox="0 0 760 {bottom + 30}" role="img" aria-label="answering times">'
            + ''.join(parts) + '</svg><p class="small">Beside the names: µs for 99 of 100 requests, and the longest. '
            'A request counts from when it was due.</p>')


def row_table(row, peers, skipped, metric, is_ours, number):
    known = {peer: found[metric] for peer, found in peers.items() if metric in found}
    order = sorted(known, key=lambda peer: statistics.median(known[peer]))
    medians = [statistics.median(known[peer]) for peer in order]
    limit = max(min(max(medians, default=1), CUT * statistics.median(medians or [1])), 1e-9)
    others = [peer for peer in order if not is_ours(peer)]
    best = statistics.median(known[others[0]]) if others else None
    show = duration if metric == 'time' else number
    lines = [f'<h3 id="{html.escape(row)}">{html.escape(row)} '
             f'<span class="small">{UNITS.get(metric, metric)}</span></h3>', latency_plot(peers, is_ours, number),
             '<table class="row">']
    for peer in order:
        middle = statistics.median(known[peer])
        ratio = f'{middle / best:.2f} &times;' if best else ''
        more = ', '.join(f'{key} {number(statistics.median(found))}' for key, found in sorted(peers[peer].items())
                         if key not in (metric, 'cpu', 'time'))
        lines.append(f'<tr{" class=ours" if is_ours(peer) else ""}><td>{html.escape(peer)}</td>'
                     f'<td class="n">{show(middle)}</td><td class="n">{ratio}</td>'
                     f'<td class="bar">{bar(known[peer], limit, is_ours(peer))}</td>'
                     f'<td class="more">{html.escape(more)}</td></tr>')
    for peer, why in sorted(skipped.items()):
        lines.append(f'<tr><td>{html.escape(peer)}</td><td colspan="4" class="more">{html.escape(why)}</td></tr>')
    return '\n'.join(lines + ['</table>'])


def write(path, told, goals, is_ours, number, metric_of):
    """told: what --json writes; goals: (reached, row, peer, metric, value, limit, of) as run-bench prints them."""
    machine = told['machine']
    page = ['<!doctype html><html lang="en"><head><meta charset="utf-8"><title>neap: benchmarks</title>'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f'<style>{STYLE}</style></head><body><h1>neap: benchmarks</h1>',
            f'<p class="small">commit {html.escape(told["commit"])}, {told["when"]}; {html.escape(machine["cpu"])}, '
            f'{machine["processors"]} processors, {machine["memory_mib"] // 1024} GiB, '
            f'{html.escape(machine["system"])}, Linux {html.escape(machine["kernel"])}; {told["repetitions"]} '
            f'interleaved repetitions{" (quick: short ones)" if told["quick"] else ""}, load at the start '
            f'{machine["load"]:.2f}</p>',
            '<p>Blue bars are neap. A bar is the median, the orange line the range of the repetitions; the ratio is '
            'to the best peer that is not neap. Shorter is better. In small print: what else the row tells. '
            'A bar with a white cut is longer than drawn.</p>']
    rows = dict.fromkeys(list(told['figures']) + list(told['skipped']))
    page.append('<h2>Contents</h2><nav>' + ''.join(
        f'<a href="#{html.escape(name)}">{html.escape(QUESTIONS.get(name, name))}</a>'
        for name in dict.fromkeys(row.split('/')[0] for row in rows))
        + ('<a href="#goals">Goals: what was asked</a>' if goals else '') + '</nav>')
    if told.get('missing'):
        page.append('<h2>Missing</h2><p>Not measured, because not built: ' + ', '.join(
            html.escape(program + (f' (package {package})' if package else ''))
            for program, package in told['missing'].items()) + '.</p>')
    if told.get('left_out'):
        page.append('<h2>Left out</h2><p>A quick run does without these, which take long: '
                    + ', '.join(map(html.escape, told['left_out'])) + '.</p>')
    question = None
    for row in rows:
        if row.split('/')[0] != question:
            question = row.split('/')[0]
            page.append(f'<h2 id="{html.escape(question)}">{html.escape(QUESTIONS.get(question, question))}</h2>'
                        f'<p class="small">./run bench --only {html.escape(question)}; what the rows model and leave '
                        'out stands at the head of the source in bench/</p>')
        metric = metric_of(row)
        page.append(row_table(row, told['figures'].get(row, {}), told['skipped'].get(row, {}), metric, is_ours,
                              number))
    if goals:
        page.append('<h2 id="goals">Goals</h2><div class="wide"><table><tr><th></th><th>row</th><th>neap</th>'
                    '<th>figure</th><th class="n">measured</th><th class="n">at most</th></tr>')
        for reached, row, peer, metric, value, limit, of in goals:
            mark = '<td class="hit">reached</td>' if reached else '<td class="miss">missed</td>'
            page.append(f'<tr>{mark}<td>{html.escape(row)}</td><td>{html.escape(peer)}</td>'
                        f'<td>{html.escape(metric)}</td><td class="n">{number(value)}</td><td class="n">'
                        f'{number(limit)}{"" if of == "-" else " &times; " + html.escape(of)}</td></tr>')
        page.append('</table></div>')
    page.append('<h2>Versions</h2><p class="small">'
                + ', '.join(f'{html.escape(name)} {html.escape(version)}'
                            for name, version in sorted(told['versions'].items()))
                + '</p></body></html>')
    with open(path, 'w', encoding='utf-8') as out:
        out.write('\n'.join(page))
