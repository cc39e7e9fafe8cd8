"use strict";
// The live page: one stream of events, rows that are changed in place so that the keyboard stays where it is.
const POINTS = 60, EVENTS = 50, RESORT_SECONDS = 10, REREAD_SECONDS = 5;
const get = id => document.getElementById(id);
const gateways = new Map(), routes = new Map();
let paused = false, ticks = 0, shown;

// What is told of gateways and routes; each may have a line of the last minute.
const COLUMNS = [
  { key: "rate", label: "Requests /s", value: one => one.rate, spark: "requests" },
  { key: "errors", label: "Errors %", value: one => percent(one.errors, one.rate), spark: "errors", bad: value => value >= 1 },
  { key: "refused", label: "Refused /s", value: one => one.refused, warn: value => value > 0 },
  { key: "p50", label: "p50 ms", value: one => millis(one.p50) },
  { key: "p99", label: "p99 ms", value: one => millis(one.p99), spark: "p99" },
];
const BUDGET = {
  key: "budget", label: "Budget left %", value: one => one.budget, text: value => budget(value),
  bad: value => value !== null && value <= 0, warn: value => value !== null && value > 0 && value < 0.25,
};

const number = value => value === null || value === undefined ? "–"
  : value >= 100 ? Math.round(value).toLocaleString("en") : value >= 10 ? value.toFixed(1) : value.toFixed(2);
const percent = (part, all) => all > 0 ? part / all * 100 : 0;
const millis = seconds => seconds === null ? null : seconds * 1000;
const words = name => name.replaceAll("_", " ");
const budget = left => left === null ? "–" : left <= 0 ? "spent" : (left * 100).toFixed(left > 0.9995 ? 0 : 1);

// As events and logs have it.
function when(millis) {
  const text = new Date(millis).toISOString(), day = text.slice(0, 10);
  return `${new Date().toISOString().startsWith(day) ? "" : `${day} `}${text.slice(11, 16)} UTC`;
}

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

function draw(spark) {
  // What is known stands at the right; before it there is nothing.
  const top = Math.max(...spark.points) || 1, first = POINTS - spark.points.length;
  spark.line.setAttribute("points", spark.points.map((y, x) => `${first + x},${(19 - y / top * 18).toFixed(1)}`).join(" "));
}

function makeRow(told, columns, act) {
  const row = element("tr"), first = element("td"), name = element("button", told.title, "name");
  name.type = "button";
  const made = { row, told, cells: [] };
  name.addEventListener("click", () => act(made));
  first.append(name, element("small", told.place));
  row.append(first);
  for (const column of columns) {
    const cell = element("td", undefined, "number"), text = element("span", "–");
    cell.dataset.label = column.label;
    cell.append(text);
    const spark = column.spark && sparkline(`${column.spark} of the last minute`);
    if (spark) cell.append(spark.svg);
    row.append(cell);
    made.cells.push({ column, cell, text, spark });
  }
  return made;
}

function show(made, told) {
  Object.assign(made.told, told);
  for (const { column, cell, text, spark } of made.cells) {
    const value = column.value(told);
    text.textContent = (column.text ?? number)(value);
    cell.classList.toggle("bad", Boolean(column.bad?.(value)));
    cell.classList.toggle("warn", Boolean(column.warn?.(value)));
    if (!spark) continue;
    spark.points.push(value ?? 0);
    if (spark.points.length > POINTS) spark.points.shift();
    draw(spark);
  }
}

// Changes the rows of a table to what is told; those that are told no more go, but not from below the keyboard.
function update(rows, body, all, columns, act) {
  const seen = new Set();
  for (const told of all) {
    seen.add(told.key);
    let made = rows.get(told.key);
    if (!made) {
      made = makeRow(told, columns, act);
      rows.set(told.key, made);
      body.append(made.row);
    }
    show(made, told);
  }
  for (const [key, made] of rows) {
    if (!seen.has(key) && !made.row.contains(document.activeElement)) {
      made.row.remove();
      rows.delete(key);
    }
  }
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
  get("sum-budget").textContent = budget(state.budget);
  get("since").hidden = state.budget === null;
  get("since").textContent = `Budgets are counted since ${when(state.since)}, when this exporter began.`;
  const named = state.gateways.map(one => ({ ...one, title: one.gateway || "no name", place: "", key: one.gateway }));
  update(gateways, get("gateways"), named, COLUMNS, choose);
  update(routes, get("routes"), state.routes.map(described), [...COLUMNS, BUDGET], open);
  // Rows that move away below a finger or the keyboard help nobody.
  if (ticks % RESORT_SECONDS === 0 && !get("routes").contains(document.activeElement) && !get("routes").matches(":hover")) {
    const sorted = [...routes.values()].sort((one, other) => other.told.total - one.told.total);
    get("routes").append(...sorted.map(made => made.row));
  }
  get("none").hidden = routes.size > 0;
  get("hidden").hidden = state.hidden === 0;
  get("hidden").textContent = `${state.hidden} more routes with less traffic are not shown.`;
  filter();
  if (shown) showPace();
  if (shown && ticks % REREAD_SECONDS === 0) read();
  ticks += 1;
}

// The routes of one gateway; once more, those of all.
function choose(made) {
  const find = get("find"), wanted = made.told.gateway;
  find.value = find.value === wanted ? "" : wanted;
  filter();
}

function filter() {
  const wanted = get("find").value.trim().toLowerCase();
  for (const [key, made] of routes) made.row.hidden = wanted !== "" && !key.toLowerCase().includes(wanted);
}

function onEvent(event) {
  const item = element("li"), time = element("time", event.time.slice(11, 19));
  time.dateTime = event.time;
  // What is no security event is called by its reason.
  const name = event.event === "refused" ? event.reason : event.event;
  const badge = `badge ${event.event}${event.code >= 500 ? " failed" : ""}`;
  item.append(time, element("span", words(name), badge), element("b", event.code));
  const rules = event.waf && event.waf.rules.length ? ` (rules ${event.waf.rules.join(", ")}, score ${event.waf.score})` : "";
  item.append(element("span", `${event.method} ${event.host}${event.path}`));
  const reason = event.reason === name ? "" : words(event.reason ?? "");
  const own = event.event === "refused" ? [event.flags, event.details === name ? "" : event.details] : [];
  const more = [reason + rules, ...own, event.user, event.client, event.route || "no route", event.request];
  item.append(element("span", more.filter(Boolean).join(" · "), "quiet"));
  const list = get("events");
  list.prepend(item);
  while (list.children.length > EVENTS) list.lastChild.remove();
  get("no-events").hidden = true;
}

function open(made) {
  shown = { made, sparks: [] };
  get("detail-title").textContent = made.told.title;
  get("detail-place").textContent = made.told.place;
  get("detail-pace").replaceChildren(...made.cells.map(({ column, spark }) => {
    const group = element("div"), value = element("dd", undefined, "number");
    value.append(element("b", "–"));
    const large = spark && sparkline(`${column.spark} of the last minute`);
    if (large) value.append(large.svg);
    shown.sparks.push({ large, value: value.firstChild });
    group.append(element("dt", column.label), value);
    return group;
  }));
  for (const id of ["answers", "replies", "objectives"]) get(id).replaceChildren();
  [get("promise").hidden, get("no-promise").hidden] = [true, true];
  showPace();
  get("detail").showModal();
  read();
}

function showPace() {
  shown.made.cells.forEach(({ text, spark }, index) => {
    const { large, value } = shown.sparks[index];
    value.textContent = text.textContent;
    if (large) {
      large.points = spark.points;
      draw(large);
    }
  });
}

async function read() {
  const asked = shown;
  const answer = await fetch(`live/routes/${asked.made.told.id}`).catch(() => undefined);
  if (!answer?.ok) return;
  const detail = await answer.json();
  if (shown !== asked) return;
  const line = texts => { const row = element("tr"); row.append(...texts.map(text => element("td", text))); return row; };
  const count = one => one.count.toLocaleString("en");
  get("answers").replaceChildren(...detail.answers.map(one =>
    line([one.code === "0" ? "none" : one.code, one.method, one.flags || "–", one.backend || "–", count(one)])));
  get("replies").replaceChildren(...detail.replies.map(one => line([words(one.reason), one.code, count(one)])));
  if (!detail.replies.length) get("replies").append(line(["none", "", ""]));
  promised(detail.promise, line);
}

function promised(promise, line) {
  const objectives = promise?.objectives ?? [];
  get("promise").hidden = objectives.length === 0;
  get("no-promise").hidden = Boolean(promise?.objectives);
  get("no-promise").textContent = promise?.wrong
    ? `The annotation portcullis.dev/slo cannot be understood: ${promise.wrong}.`
    : "It promises nothing. The annotation portcullis.dev/slo says what is promised, such as 99.9% availability; 99% < 250ms.";
  const counted = one => one.seen < one.window ? `, counted since ${when(Date.now() - one.seen * 1000)}` : "";
  get("objectives").replaceChildren(...objectives.map(one => line([
    one.objective, budget(one.left), `${one.bad.toLocaleString("en")} of ${one.all.toLocaleString("en")}`,
    span(one.window) + counted(one)])));
}

function span(seconds) {
  const [size, unit] = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]].find(([size]) => seconds >= size) ?? [1, "s"];
  return `${Math.floor(seconds / size)} ${unit}`;
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
    const names = [...document.querySelectorAll(".rows tr:not([hidden]) .name")];
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
get("detail").addEventListener("close", () => { shown = undefined; });
document.addEventListener("keydown", onKey);
