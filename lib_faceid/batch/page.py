"""The report's page: one file of HTML without anything from elsewhere; its data stand in it as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["page"]


def page(data: Mapping[str, Any]) -> str:
    """Return the page. Nothing of the data becomes HTML: the script puts it there as text."""
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":")).replace("<", "\\u003c")
    return HTML.replace("/*DATA*/", text, 1)


HTML = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Batch</title>
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src 'self' file:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root { color-scheme: light dark; --line: #8885; --bar: #3b6fb6; --bad: #b3261e }
@media (prefers-color-scheme: dark) { :root { --bar: #7aa7e0; --bad: #f2867e } }
body { font: 15px/1.45 system-ui, sans-serif; margin: 1.2rem auto; max-width: 84rem; padding: 0 1rem }
h1 { font-size: 1.35rem; margin: 0 } h2 { font-size: 1.05rem; margin: 1.6rem 0 .5rem }
p { margin: .3rem 0 } .sheet { display: grid; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); gap: .7rem }
figure { margin: 0 } img { width: 100%; aspect-ratio: 1; object-fit: contain; background: #8882; display: block }
figcaption { font-size: .8rem; overflow-wrap: anywhere } figcaption b { font-variant-numeric: tabular-nums }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; padding: .25rem .6rem .25rem 0;
 border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere } .number { text-align: right }
form { display: flex; flex-wrap: wrap; gap: .6rem 1rem; align-items: end; margin: .4rem 0 .8rem }
[hidden] { display: none !important } label { display: grid; font-size: .8rem } label.row { display: flex; gap: .4rem; align-items: center }
input, select, button { font: inherit; padding: .2rem .4rem } .bad { color: var(--bad) }
.bars { display: flex; align-items: end; gap: 1px; height: 2.2rem; min-width: 10rem }
.bars i { flex: 1; background: var(--bar); min-height: 1px } .axis { font-size: .75rem; opacity: .75 }
</style></head><body>
<h1 id="title"></h1><p id="line"></p><p id="left"></p>
<h2>People</h2><table id="people"><thead><tr><th>who<th class="number">pictures<th class="number">mean
<th class="number">lowest<th>likeness, from -0.2 to 1</tr></thead><tbody></tbody></table>
<section id="worst"><h2>The least alike</h2><div class="sheet"></div></section>
<section id="failures"><h2 class="bad">Not drawn</h2><table><tbody></tbody></table></section>
<section id="all"><h2>Contact sheet</h2>
<form><label>person <select name="who"></select></label><label>words in the prompt <input name="text" type="search"></label>
<label>likeness from <input name="low" type="number" step="0.05" min="-1" max="1"></label>
<label>to <input name="high" type="number" step="0.05" min="-1" max="1"></label>
<label>order <select name="order"><option value="row">as in the manifest<option value="worst">least alike first
<option value="best">most alike first<option value="seed">by seed</select></label>
<label class="row" id="follow"><input name="follow" type="checkbox" checked> reload while it runs</label></form>
<p id="count"></p><div class="sheet"></div><p><button id="more" type="button">Show more</button></p></section>
<script id="data" type="application/json">/*DATA*/</script>
<script>
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (selector) => document.querySelector(selector), form = $("form"), PAGE = 240;
const made = (name, text, into) => { const found = document.createElement(name);
  if (text !== undefined) found.textContent = text; if (into) into.append(found); return found; };
const shown = (likeness) => likeness === null ? "no likeness" : likeness.toFixed(2);
let limit = PAGE;
function figure(one, into) {
  const [key, row, who, seed, likeness, prompt] = one, frame = made("figure", undefined, into);
  const link = made("a", undefined, frame), image = made("img", undefined, link), text = made("figcaption", undefined, frame);
  link.href = image.src = `${data.base}pictures/${key.slice(0, 2)}/${key}.png`;
  image.loading = "lazy"; image.alt = `${data.people[who] ? data.people[who].name : ""}, seed ${seed}`; image.title = prompt;
  made("b", shown(likeness), text); text.append(` ${data.people[who].name} · row ${row} · seed ${seed}`);
}
function matching() {
  const who = form.who.value, words = form.text.value.toLowerCase();
  const low = parseFloat(form.low.value), high = parseFloat(form.high.value), value = (one) => one[4] === null ? -2 : one[4];
  const found = data.pictures.filter((one) => (who === "" || one[2] === Number(who))
    && (!words || one[5].toLowerCase().includes(words))
    && (isNaN(low) || value(one) >= low) && (isNaN(high) || value(one) <= high));
  const orders = { worst: (a, b) => value(a) - value(b), best: (a, b) => value(b) - value(a),
    seed: (a, b) => a[3].length - b[3].length || (a[3] < b[3] ? -1 : 1), row: () => 0 };
  return found.sort(orders[form.order.value]);
}
function draw() {
  const found = matching(), sheet = $("#all .sheet");
  sheet.replaceChildren(); found.slice(0, limit).forEach((one) => figure(one, sheet));
  $("#count").textContent = `${found.length} of ${data.pictures.length} pictures`;
  $("#more").hidden = found.length <= limit;
  const state = new URLSearchParams(new FormData(form)); if (!form.follow.checked) state.set("follow", "");
  history.replaceState(null, "", "#" + state);
}
document.title = $("#title").textContent = data.title; $("#line").textContent = data.line; $("#left").textContent = data.note;
made("option", "everybody", form.who).value = "";
const peak = Math.max(1, ...data.people.flatMap((one) => one.histogram));
data.people.forEach((one, number) => {
  const line = made("tr", undefined, $("#people tbody")), name = made("td", undefined, line);
  if (one.page) made("a", one.name || "nobody", name).href = one.page; else name.textContent = one.name || "nobody";
  for (const text of [one.count, shown(one.mean), shown(one.lowest)]) made("td", text, line).className = "number";
  const bars = made("div", undefined, made("td", undefined, line)); bars.className = "bars";
  bars.title = one.histogram.join(" "); bars.setAttribute("role", "img");
  bars.setAttribute("aria-label", `mean ${shown(one.mean)}, lowest ${shown(one.lowest)}`);
  for (const count of one.histogram) made("i", undefined, bars).style.height = `${100 * count / peak}%`;
  made("option", `${one.name || "nobody"} (${one.count})`, form.who).value = number;
});
data.worst.forEach((one) => figure(one, $("#worst .sheet"))); $("#worst").hidden = !data.worst.length;
for (const [row, who, seed, sentence, command] of data.failures) {
  const line = made("tr", undefined, $("#failures tbody"));
  made("td", `row ${row}`, line); made("td", `${who}, seed ${seed}`, line);
  const what = made("td", sentence, line); made("br", undefined, what); made("code", command, what);
}
$("#failures").hidden = !data.failures.length; $("#all").hidden = !data.pictures.length; $("#follow").hidden = !data.runs;
for (const [name, value] of new URLSearchParams(location.hash.slice(1)))
  if (form[name]) { if (name === "follow") form.follow.checked = value === "on"; else form[name].value = value; }
form.addEventListener("input", () => { limit = PAGE; draw(); }); form.addEventListener("submit", (event) => event.preventDefault());
$("#more").addEventListener("click", () => { limit += PAGE; draw(); });
draw();
if (data.runs) setInterval(() => { if (form.follow.checked) location.reload(); }, 20000);
</script></body></html>
"""
