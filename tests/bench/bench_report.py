# SPDX-License-Identifier: Apache-2.0
# The figures as text tables and as an SVG: CPU of each proxy for one query over the relay's, workload by workload.
import html

COLUMNS = {"qps": ("queries/s", "{:.0f}"), "qps_over_direct": ("/direct", "{:.2f}"), "cpu_us": ("CPU µs/query", "{:.1f}"),
           "cpu_over_relay": ("CPU/relay", "{:.2f}"), "p50_ms": ("p50 ms", "{:.2f}"), "p99_ms": ("p99 ms", "{:.2f}"),
           "cpu_ms_mb": ("CPU ms/MB", "{:.2f}"), "mb_s": ("MB/s", "{:.0f}"), "per_s": ("a second", "{:.0f}"),
           "hit_rate": ("plan cache hits", "{:.3f}"), "plans": ("plans kept", "{:.0f}"), "calls": ("calls", "{:.2f}"),
           "compared_share": ("share compared", "{:.3f}")}
COLOURS = {"relay": "#9aa0a6", "haproxy": "#c58af9", "router": "#f6aea9", "none": "#8ab4f8", "untouched": "#1a73e8", "rewritten": "#188038"}
NAMES = {"none": "Crossfade, no migration", "untouched": "Crossfade, 10 migrations, none touched", "rewritten": "Crossfade, rewritten",
         "compared": "Crossfade, 10 % compared", "relay": "relay", "haproxy": "HAProxy", "router": "MySQL Router", "direct": "direct"}


def _shown(key, value):
    if key in COLUMNS:
        return COLUMNS[key][1].format(value)
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def table(title, rows):
    """Markdown of {row: {column: value}}."""
    keys = []
    for figures in rows.values():
        keys += [key for key in figures if key not in keys and key != "qps_over_relay"]
    order = list(COLUMNS)
    keys.sort(key=lambda key: order.index(key) if key in order else len(order))
    head = [COLUMNS[key][0] if key in COLUMNS else key.replace("_", " ") for key in keys]
    lines = [f"| {title} | " + " | ".join(head) + " |", "|---" * (len(keys) + 1) + "|"]
    for name, figures in rows.items():
        cells = [_shown(key, figures[key]) if key in figures else "" for key in keys]
        lines.append(f"| {NAMES.get(name, name)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def text(results, parts=None):
    out = []
    for part, workloads in results["parts"].items():
        if parts and part not in parts:
            continue
        for workload, rows in workloads.items():
            title = workload if part not in ("prepared",) else f"{workload}, prepared"
            out.append(table(title, rows))
    return "\n\n".join(out) + "\n"


def into_docs(path, key, text):
    """Puts `text` between the lines <!-- key --> and <!-- /key --> of a Markdown file, if it has them."""
    old = path.read_text()
    head, begin, rest = old.partition(f"<!-- {key} -->\n")
    if begin:
        path.write_text(head + begin + text.strip() + "\n" + rest[rest.index(f"<!-- /{key} -->"):])


def svg(results):
    """Bars: CPU for each query over the relay's; the line is the relay. Empty without the part `proxies`."""
    workloads = results["parts"].get("proxies", {})
    if not workloads:
        return ""
    peers = [name for name in COLOURS if name != "relay" and any(name in rows for rows in workloads.values())]
    bar, gap, height, left, top, most = 14, 26, 240, 50, 60, 2.5
    group = bar * len(peers) + gap
    width = left + group * len(workloads) + 20
    y = lambda value: top + height - height * min(value, most) / most
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{top + height + 60}" font-family="sans-serif" font-size="11">',
             f'<rect width="{width}" height="{top + height + 60}" fill="white"/>',
             f'<text x="{left}" y="18" font-size="14">CPU of the proxy for each query, as a multiple of a plain TCP relay\'s ({results["engine"]})</text>']
    x = left
    for name in peers:
        label = NAMES[name]
        parts.append(f'<rect x="{x}" y="28" width="10" height="10" fill="{COLOURS[name]}"/><text x="{x + 14}" y="37">{html.escape(label)}</text>')
        x += 26 + 6 * len(label)
    width = max(width, x + 10)
    parts[0] = parts[0].replace(f'width="{left + group * len(workloads) + 20}"', f'width="{width}"')
    parts[1] = parts[1].replace(f'width="{left + group * len(workloads) + 20}"', f'width="{width}"')
    for step in range(0, 6):
        value = step / 2
        parts.append(f'<line x1="{left}" x2="{width - 10}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="{"#444" if value == 1 else "#ddd"}"/>'
                     f'<text x="{left - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.1f}</text>')
    for index, (workload, rows) in enumerate(workloads.items()):
        x = left + gap / 2 + index * group
        for name in peers:
            value = rows.get(name, {}).get("cpu_over_relay")
            if value is not None:
                parts.append(f'<rect x="{x:.1f}" y="{y(value):.1f}" width="{bar - 2}" height="{top + height - y(value):.1f}" fill="{COLOURS[name]}">'
                             f'<title>{html.escape(NAMES[name])}: {value:.2f}</title></rect>'
                             f'<text x="{x + bar / 2 - 1:.1f}" y="{y(value) - 3:.1f}" font-size="8" text-anchor="middle">{value:.2f}</text>')
            x += bar
        parts.append(f'<text x="{left + index * group + group / 2:.1f}" y="{top + height + 16}" text-anchor="middle">{html.escape(workload)}</text>')
    return "\n".join(parts) + "\n</svg>\n"
