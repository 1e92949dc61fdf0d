// SPDX-License-Identifier: Apache-2.0
// The admin page: /status, shown for a person and read anew every two seconds. Whatever comes from statements, users or events is put
// in as text, never as HTML.
#pragma once

namespace crossfade::proxy {

inline constexpr char kAdminPage[] = R"(<!doctype html><html lang="en"><meta charset="utf-8"><title>Crossfade</title>
<meta name="viewport" content="width=device-width">
<style>
body{font:15px/1.4 sans-serif;margin:2em auto;max-width:75em;padding:0 1em;color:#222}
h2{margin:1.6em 0 .2em}h3{margin:1.2em 0 .3em;font-size:1em}p{margin:.3em 0}
progress{width:20em;vertical-align:middle}
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.25em .8em .25em 0;border-bottom:1px solid #ddd}
th{font-weight:normal;color:#666}.n{text-align:right;white-space:nowrap}.s{white-space:nowrap}
td code{display:block;min-width:18em;max-height:6em;overflow:auto;overflow-wrap:anywhere;white-space:pre-wrap}
code,pre{font:13px/1.35 monospace}pre{background:#f4f4f4;padding:1em;overflow:auto}.bad{color:#b00020}.dim{color:#666}
.wide{overflow-x:auto}details{margin-top:1.6em}
</style>
<h1>Crossfade</h1><p id="state" class="dim">reading …</p><div id="migrations"></div>
<details><summary>Status as JSON</summary><pre id="raw"></pre></details><p><a href="/status">status</a> · <a href="/metrics">metrics</a></p>
<script>
const add = (to, tag, text, name) => {
  const made = to.appendChild(document.createElement(tag));
  if (text !== undefined) made.textContent = text;
  if (name) made.className = name;
  return made;
};
const second = (at) => (at || '').slice(0, 19);
const ms = (us) => (us / 1000).toFixed(2);
// columns: [title, class, text of a row, whether that is a statement]
const table = (to, rows, columns) => {
  const made = add(add(to, 'div', undefined, 'wide'), 'table'), head = add(made, 'tr');
  for (const [title, name] of columns) add(head, 'th', title, name);
  for (const row of rows) {
    const line = add(made, 'tr');
    for (const [, name, text, code] of columns) {
      const cell = add(line, 'td', code ? undefined : text(row), name);
      if (code) add(cell, 'code', text(row));
    }
  }
};
function show(box, m) {
  add(box, 'h2', m.name);
  const line = add(box, 'p', m.phase + (m.phase === 'cutover' ? ' at ' + m.percent + ' %' : '') +
      (m.desired !== m.phase ? ', on the way to ' + m.desired : '') + (m.paused ? ', paused' : '') + ' ');
  if (m.phase === 'backfill') {
    add(line, 'progress').value = m.fraction || 0;
    add(line, 'span', ' ' + (100 * m.fraction).toFixed(1) + ' %, ' + Math.round(m.rows_per_second) + ' rows/s' +
        (m.eta_seconds === null ? '' : ', about ' + Math.round(m.eta_seconds) + ' s left'));
  }
  if (m.message) add(box, 'p', m.message, 'dim');
  const v = m.verification;
  if (v) add(box, 'p', 'verification: ' + v.rows_checked + ' rows compared, ' + v.differences + ' differ' + (v.repaired ? ', ' + v.repaired + ' mended' : '') + (v.finished ? '' : ' so far'),
             v.differences > v.repaired ? 'bad' : '');
  const reads = m.compared_reads, uses = m.old_uses;
  if (reads) {
    add(box, 'h3', 'Compared reads');
    add(box, 'p', reads.compared + ' compared, ' + reads.mismatches + ' differ' + (reads.mismatches ? ' (' + reads.mismatch_percent.toPrecision(2) + ' %)' : '') +
        (reads.compared ? '; on average ' + ms(reads.old_us) + ' ms on the old side, ' + ms(reads.new_us) + ' ms on the new' : ' since phase or percent last changed'),
        reads.mismatches ? 'bad' : '');
    table(box, reads.digests, [['epoch', 'n', (d) => d.epoch], ['compared', 'n', (d) => d.compared], ['differ', 'n', (d) => d.mismatches], ['old, ms', 'n', (d) => ms(d.old_us)],
        ['new, ms', 'n', (d) => ms(d.new_us)], ['last, UTC', 's', (d) => second(d.last_seen)], ['statement, and the last that differed', '', (d) => d.digest + (d.sample ? '\n' + d.sample : ''), true]]);
  }
  if (uses && uses.shapes) {
    add(box, 'h3', 'Uses of the old side');
    add(box, 'p', uses.count + ' by ' + uses.shapes + ' statement shape(s); they break with retire');
    table(box, uses.uses, [['user', 's', (u) => u.user], ['from', 's', (u) => u.address || '?'], ['times', 'n', (u) => u.count], ['last, UTC', 's', (u) => second(u.last_seen)],
        ['what', '', (u) => u.what], ['statement', '', (u) => u.digest, true]]);
  }
  if (m.refused.length) {
    add(box, 'h3', 'Statements that are refused, or would be');
    table(box, m.refused, [['user', 's', (r) => r.user], ['times', 'n', (r) => r.count], ['last, UTC', 's', (r) => second(r.last_seen)],
        ['why', '', (r) => r.reason + (r.accepted ? ' (accepted)' : '')], ['statement', '', (r) => r.digest, true]]);
  }
  if (m.events.length) {
    add(box, 'h3', 'Events');
    table(box, m.events, [['at, UTC', 's', (e) => second(e.at)], ['', 's', (e) => e.severity], ['', '', (e) => e.text, true]]);
  }
}
async function refresh() {
  const state = document.getElementById('state');
  try {
    const reply = await fetch('/status'), text = await reply.text();
    document.getElementById('raw').textContent = text;
    if (!reply.ok) throw new Error(text);
    const status = JSON.parse(text), box = document.createElement('div');
    for (const m of status.migrations || []) show(box, m);
    box.id = 'migrations';
    document.getElementById('migrations').replaceWith(box);
    const live = (status.proxies || []).filter((p) => p.alive);
    state.className = 'dim';
    state.textContent = status.epoch === undefined ? 'no migrations' : 'epoch ' + status.epoch + '; ' + live.length + (live.length === 1 ? ' live proxy: ' : ' live proxies: ') +
        live.map((p) => p.address || p.id).join(', ');
  } catch (error) {
    state.className = 'bad';
    state.textContent = 'the status cannot be read: ' + error.message;
  }
}
refresh();
setInterval(refresh, 2000);
</script></html>)";

}  // namespace crossfade::proxy
