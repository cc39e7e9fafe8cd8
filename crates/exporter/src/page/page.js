"use strict";
// The live page: one stream of events, rows that are changed in place so that the keyboard stays where it is.
const POINTS = 60, EVENTS = 50, RESORT_SECONDS = 10;
const get = id => document.getElementById(id);
const rows = new Map();
let paused = false, ticks = 0;

const number = value => value === null || value === undefined ? "–"
  : value >= 100 ? Math.round(value).toLocaleString("en") : value >= 10 ? value.toFixed(1) : value.toFixed(2);
const percent = (part, all) => all > 0 ? part / all * 100 : 0;
const millis = seconds => seconds === null ? null : seconds * 1000;

// Whatever a client sent becomes text, never markup.
function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function sparkline(label) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", `0 0 ${POINTS - 1} 20`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", label);
  const line = document.createElementNS(svg.namespaceURI, "polyline");
  svg.append(line);
  return { svg, line, points: [] };
}

function draw(spark, value) {
  spark.points.push(value ?? 0);
  if (spark.points.length > POINTS) spark.points.shift();
  // What is known stands at the right; before it there is nothing.
  const top = Math.max(...spark.points) || 1, first = POINTS - spark.points.length;
  spark.line.setAttribute("points", spark.points.map((y, x) => `${first + x},${(19 - y / top * 18).toFixed(1)}`).join(" "));
}

function makeRow(route) {
  const row = element("tr");
  const name = element("button", route.title, "name");
  name.type = "button";
  name.addEventListener("click", () => open(route));
  const first = element("td");
  first.append(name, element("small", route.place));
  row.append(first);
  const cells = {};
  for (const [key, label] of [["rate", "Requests /s"], ["errors", "Errors %"], ["refused", "Refused /s"], ["p50", "p50 ms"], ["p99", "p99 ms"]]) {
    const cell = element("td", undefined, "number");
    cell.dataset.label = label;
    cells[key] = element("span", "–");
    cell.append(cells[key]);
    row.append(cell);
  }
  const rate = sparkline("requests of the last minute"), p99 = sparkline("p99 of the last minute");
  cells.rate.parentElement.append(rate.svg);
  cells.p99.parentElement.append(p99.svg);
  return { row, name, cells, rate, p99, route };
}

function show(entry, route) {
  const { cells } = entry, errors = percent(route.errors, route.rate);
  entry.route = Object.assign(entry.route, route);
  cells.rate.textContent = number(route.rate);
  cells.errors.textContent = number(errors);
  cells.errors.parentElement.classList.toggle("bad", errors >= 1);
  cells.refused.textContent = number(route.refused);
  cells.refused.parentElement.classList.toggle("warn", route.refused > 0);
  cells.p50.textContent = number(millis(route.p50));
  cells.p99.textContent = number(millis(route.p99));
  draw(entry.rate, route.rate);
  draw(entry.p99, route.p99);
}

function described(route) {
  const name = route.kind ? `${route.namespace}/${route.route}` : route.route || "no route";
  const rule = route.rule === "" ? "" : ` · rule ${route.rule}`;
  route.title = name;
  route.place = `${route.kind || "–"}${rule} · ${route.gateway} · ${route.listener}`;
  route.key = `${route.place} ${name}`;
  return route;
}

function onState(state) {
  get("sum-rate").textContent = number(state.rate);
  get("sum-errors").textContent = number(percent(state.errors, state.rate));
  get("sum-refused").textContent = number(state.refused);
  get("sum-p99").textContent = number(millis(state.p99));
  const seen = new Set();
  for (const route of state.routes.map(described)) {
    seen.add(route.key);
    let entry = rows.get(route.key);
    if (!entry) {
      entry = makeRow(route);
      rows.set(route.key, entry);
      get("routes").append(entry.row);
    }
    show(entry, route);
  }
  for (const [key, entry] of rows) {
    if (!seen.has(key) && !entry.row.contains(document.activeElement)) {
      entry.row.remove();
      rows.delete(key);
    }
  }
  // Rows that move away below a finger or the keyboard help nobody.
  if (ticks++ % RESORT_SECONDS === 0 && !get("routes").contains(document.activeElement) && !get("routes").matches(":hover")) {
    const sorted = [...rows.values()].sort((one, other) => other.route.total - one.route.total);
    get("routes").append(...sorted.map(entry => entry.row));
  }
  get("none").hidden = rows.size > 0;
  get("hidden").hidden = state.hidden === 0;
  get("hidden").textContent = `${state.hidden} more routes with less traffic are not shown.`;
  filter();
}

function filter() {
  const wanted = get("find").value.trim().toLowerCase();
  for (const [key, entry] of rows) entry.row.hidden = wanted !== "" && !key.toLowerCase().includes(wanted);
}

function onEvent(event) {
  const item = element("li"), time = element("time", event.time.slice(11, 19));
  time.dateTime = event.time;
  item.append(time, element("span", event.event.replaceAll("_", " "), `badge ${event.event}`), element("b", event.code));
  const rules = event.waf && event.waf.rules.length ? ` (rules ${event.waf.rules.join(", ")}, score ${event.waf.score})` : "";
  item.append(element("span", `${event.method} ${event.host}${event.path}`));
  const reason = event.reason === event.event ? undefined : event.reason?.replaceAll("_", " ");
  const more = [(reason ?? "") + rules, event.user, event.client, event.route || "no route", event.request];
  item.append(element("span", more.filter(Boolean).join(" · "), "quiet"));
  const list = get("events");
  list.prepend(item);
  while (list.children.length > EVENTS) list.lastChild.remove();
  get("no-events").hidden = true;
}

async function open(route) {
  get("detail-title").textContent = route.title;
  get("detail-place").textContent = route.place;
  for (const id of ["answers", "replies"]) get(id).replaceChildren();
  get("detail").showModal();
  const answer = await fetch(`live/routes/${route.id}`);
  if (!answer.ok) return;
  const detail = await answer.json();
  const line = texts => { const row = element("tr"); row.append(...texts.map(text => element("td", text))); return row; };
  const count = one => one.count.toLocaleString("en");
  get("answers").append(...detail.answers.map(one =>
    line([one.code === "0" ? "none" : one.code, one.method, one.flags || "–", one.backend || "–", count(one)])));
  get("replies").append(...detail.replies.map(one => line([one.reason.replaceAll("_", " "), one.code, count(one)])));
  if (!detail.replies.length) get("replies").append(line(["none", "", ""]));
}

function pause() {
  paused = !paused;
  get("pause").setAttribute("aria-pressed", paused);
  get("pause").textContent = paused ? "Go on" : "Pause";
  tell(paused ? "paused" : "live");
}

function tell(text, lost) {
  get("state").textContent = text;
  get("state").classList.toggle("lost", Boolean(lost));
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || get("detail").open) return;
  const typing = event.target.tagName === "INPUT";
  if (event.key === "/" && !typing) {
    event.preventDefault();
    get("find").focus();
  } else if (event.key === "p" && !typing) {
    pause();
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    const names = [...document.querySelectorAll("#routes tr:not([hidden]) .name")];
    const here = names.indexOf(document.activeElement), step = event.key === "ArrowDown" ? 1 : -1;
    const next = names[here < 0 ? 0 : Math.min(Math.max(here + step, 0), names.length - 1)];
    if (next) {
      event.preventDefault();
      next.focus();
    }
  }
}

const stream = new EventSource("live/stream");
stream.addEventListener("open", () => tell(paused ? "paused" : "live"));
stream.addEventListener("error", () => tell("the exporter does not answer, trying again …", true));
stream.addEventListener("state", event => paused || onState(JSON.parse(event.data)));
stream.addEventListener("refused", event => paused || onEvent(JSON.parse(event.data)));
get("pause").addEventListener("click", pause);
get("find").addEventListener("input", filter);
document.addEventListener("keydown", onKey);
