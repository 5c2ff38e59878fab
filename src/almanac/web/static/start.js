// The start page: one key, live counts, the latest events and a few questions answered, each with its receipt.

import { bars, isWide, picture, tableOf } from "./charts.js";
import { full, h, scroller, short } from "./dom.js";

const LIVE = 2000; // ms between looks at the counts
const ANSWERS = 60000; // ms between askings of the questions
const HEALTH = 15000; // ms between looks at /health
const KEY = "almanac.key";
const WRITE_KEY = "almanac.write_key"; // only to fill in the snippet

const at = (id) => document.getElementById(id);
const state = { key: "", project: null, seen: 0, timers: [], shown: false };

// ------------------------------------------------------------------ talking

class Refused extends Error {
  constructor(status, error) {
    super(error.message);
    this.status = status;
    this.detail = error;
  }
}

async function call(path, question) {
  const options = { headers: { Authorization: `Bearer ${state.key}` }, cache: "no-store" };
  if (question) Object.assign(options, { method: "POST", body: JSON.stringify(question) });
  const answer = await fetch(path, options);
  const body = await answer.json();
  if (!answer.ok) throw new Refused(answer.status, body.error ?? { message: `The server answered ${answer.status}.` });
  return body;
}

const inProject = (rest) => `/api/v1/projects/${encodeURIComponent(state.project.id)}/${rest}`;
const ask = (question) => call(inProject("ask"), question);

// ---------------------------------------------------------------------- key

function takeKey() {
  const given = new URLSearchParams(location.hash.slice(1));
  if (given.get("key")) {
    sessionStorage.setItem(KEY, given.get("key"));
    sessionStorage.setItem(WRITE_KEY, given.get("write_key") ?? "");
    history.replaceState(null, "", location.pathname); // a key must not stay in the history, nor in a screenshot
  }
  return sessionStorage.getItem(KEY) ?? "";
}

function forget() {
  sessionStorage.removeItem(KEY);
  sessionStorage.removeItem(WRITE_KEY);
  stop();
  askForKey("");
}

function askForKey(problem) {
  at("project").textContent = "";
  at("zone").textContent = "";
  at("forget").hidden = true;
  notice(problem, true);
  const field = h("input", { id: "key", type: "password", autocomplete: "off", spellcheck: "false", required: true });
  const submit = (event) => {
    event.preventDefault();
    sessionStorage.setItem(KEY, field.value.trim());
    open();
  };
  at("content").replaceChildren(h("section", { class: "ask" },
    h("h1", {}, "Open a project"),
    h("p", {}, "Paste the project's read key (", h("code", {}, "api_key"), "). This tab keeps it until it is closed."),
    h("form", { onsubmit: submit }, h("label", { for: "key" }, "Read key", field), h("button", { class: "primary", type: "submit" }, "Open project")),
    h("p", { class: "quiet" }, "Keys are printed when a project is made: ", h("code", {}, "almanac project create NAME"), ". One that is lost is replaced by: ", h("code", {}, "almanac key create --role read"), ".")));
  field.focus();
}

async function open() {
  stop();
  state.key = takeKey();
  if (!state.key) return askForKey("");
  const { timers } = state;
  notice("");
  at("content").replaceChildren(skeleton());
  try {
    const who = await call("/api/v1/me");
    if (timers !== state.timers) return;
    if (who.role === "write") return askForKey("This is a write key: it may only send events. Give the project's read key.");
    if (!who.projects.length) return askForKey("There is no project yet. Make one with: almanac project create NAME");
    at("forget").hidden = false;
    choose(who.projects, who.projects[0]);
  } catch (error) {
    if (timers !== state.timers) return;
    if (error instanceof Refused && error.status === 401) return askForKey("The key is not known. Check that it was copied whole.");
    failed(error, "Nothing can be shown yet.");
    state.timers.push(setTimeout(open, 5000));
  }
}

function choose(projects, project) {
  stop();
  state.project = project;
  state.shown = false;
  const pick = (event) => choose(projects, projects.find((one) => one.id === event.target.value));
  at("project").replaceChildren(projects.length === 1
    ? project.name
    : h("select", { "aria-label": "Project", onchange: pick }, projects.map((one) => h("option", { value: one.id, selected: one.id === project.id }, one.name))));
  at("zone").textContent = `Days begin in ${project.zone}`;
  document.title = `${project.name} · Almanac`;
  at("content").replaceChildren(skeleton());
  every(LIVE, live);
}

// ------------------------------------------------------------------- rhythm

/** Calls `work` now and again, never twice at a time, and not while nobody looks. */
function every(pause, work) {
  const timers = state.timers; // another array after stop()
  const slot = timers.length;
  const turn = async () => {
    if (!document.hidden) await work();
    if (state.timers === timers) timers[slot] = setTimeout(turn, pause);
  };
  timers[slot] = setTimeout(turn, 0);
}

function stop() {
  state.timers.forEach(clearTimeout);
  state.timers = [];
  state.project = null; // what is still on its way is for nobody
  state.seen = 0;
}

// -------------------------------------------------------------------- words

function notice(words, bad = false) {
  const place = at("notice");
  place.hidden = !words;
  place.className = bad ? "notice bad" : "notice";
  place.textContent = words;
}

function failed(error, meaning) {
  const detail = error instanceof Refused ? error.detail : { message: "The server cannot be reached." };
  notice([detail.message, detail.way_out, meaning, detail.error_id && `Id: ${detail.error_id}.`, "It is tried again by itself."].filter(Boolean).join(" "), true);
}

const skeleton = () => h("div", { class: "grid", "aria-busy": "true", "aria-label": "Loading" },
  h("div", { class: "card tile" }, h("div", { class: "waits figure" })),
  h("div", { class: "card wide" }, h("div", { class: "waits chart" })),
  h("div", { class: "card full" }, h("div", { class: "waits chart" })),
  h("div", { class: "card" }, h("div", { class: "waits chart" })),
  h("div", { class: "card" }, h("div", { class: "waits chart" })));

// --------------------------------------------------------------------- live

const MINUTES = { kind: "trend", series: [{ measure: "count" }], interval: "minute", last: "29 minutes" };
const TODAY = { kind: "trend", series: [{ measure: "count" }], interval: "day", date_from: "today" };

async function live() {
  const project = state.project;
  try {
    const [today, minutes, latest] = await Promise.all([ask(TODAY), ask(MINUTES), call(inProject("events?limit=10"))]);
    if (project !== state.project) return;
    if (!state.shown) frame();
    notice("");
    state.seen = Date.now();
    const empty = !latest.length;
    at("first").hidden = !empty;
    at("answers").hidden = empty;
    at("today").replaceChildren(h("p", { class: "figure", title: full(sum(today)) }, short(sum(today))), h("p", { class: "quiet" }, "The day is not over."));
    at("minutes").replaceChildren(bars(minutes.rows.map(minute), { small: true, what: "Events per minute" }));
    showLatest(latest);
    if (!empty && !state.asked) {
      state.asked = true;
      every(ANSWERS, answers);
    }
  } catch (error) {
    if (project !== state.project) return;
    if (error instanceof Refused && (error.status === 401 || error.status === 404)) {
      stop();
      return askForKey("The key no longer opens this project.");
    }
    const age = state.seen ? `The numbers below are from ${clock(new Date(state.seen))}.` : "Nothing can be shown yet.";
    failed(error, age);
  }
}

const sum = (answer) => answer.rows.reduce((total, row) => total + (row.value ?? 0), 0);
const minute = (row) => ({ label: String(row.period).slice(11, 16), value: row.value, open: row.complete === false });
const clock = (moment) => moment.toLocaleTimeString([], { hour12: false });

function frame() {
  const part = (cls, id, title, ...rest) => h("section", { class: `card ${cls}`, "aria-labelledby": `${id}-title` }, h("header", {}, h("h2", { id: `${id}-title` }, title)), h("div", { id }), ...rest);
  state.shown = true;
  state.asked = false;
  at("content").replaceChildren(h("h1", { class: "unseen" }, state.project.name), h("div", { class: "grid" },
    h("section", { id: "first", class: "card full", hidden: true }, firstEvent()),
    part("tile", "today", "Events today"),
    part("wide", "minutes", "Events per minute, last 30 minutes"),
    part("full", "latest", "Latest events")),
  h("h2", { id: "answers", class: "answers" }, "Questions"),
  h("div", { id: "questions", class: "grid" }));
}

function firstEvent() {
  const snippet = `curl ${location.origin}/api/v1/events \\\n  -H "Authorization: Bearer ${sessionStorage.getItem(WRITE_KEY) || "WRITE_KEY"}" \\\n  -d '{"event": "signed_up", "distinct_id": "ada", "properties": {"plan": "pro"}}'`;
  const copy = h("button", { type: "button", onclick: () => navigator.clipboard.writeText(snippet).then(() => { copy.textContent = "Copied"; }) }, "Copy command");
  return [
    h("header", {}, h("h2", {}, "No event has come yet"), navigator.clipboard ? copy : null),
    h("p", {}, "Send the first one with the project's write key. It shows here within seconds; the SDKs of Segment and PostHog work as well, with this address as their host."),
    h("pre", { tabindex: 0 }, snippet),
  ];
}

function showLatest(rows) {
  const open = new Set([...document.querySelectorAll("#latest [aria-expanded=true]")].map((button) => button.dataset.id));
  const focus = document.activeElement?.dataset?.id;
  if (!rows.length) return at("latest").replaceChildren(h("p", { class: "quiet" }, "Events appear here in the order in which they are received."));
  const body = rows.flatMap((row) => {
    const whole = h("tr", { class: "whole", hidden: !open.has(row.event_id) }, h("td", { colspan: 4 }, h("pre", { tabindex: 0 }, JSON.stringify(row, null, 2))));
    const toggle = () => {
      whole.hidden = !whole.hidden;
      button.setAttribute("aria-expanded", String(!whole.hidden));
    };
    const button = h("button", { type: "button", class: "link", "data-id": row.event_id, "aria-expanded": String(!whole.hidden), title: "Show the whole event", onclick: toggle }, h("span", { class: "clip" }, row.event));
    const properties = typeof row.properties === "string" ? row.properties : JSON.stringify(row.properties);
    return [h("tr", {},
      h("td", { class: "time", title: `received ${row.time_received}` }, clock(new Date(row.time_received))),
      h("td", {}, button),
      h("td", {}, h("span", { class: "clip", dir: "auto", title: row.distinct_id }, row.distinct_id || "–")),
      h("td", {}, h("span", { class: "clip quiet", dir: "auto" }, properties))), whole];
  });
  const head = ["Received", "Event", "Distinct id", "Properties"].map((name) => h("th", { scope: "col" }, name));
  const shown = scroller("", "Latest events", h("table", { class: "latest" }, h("thead", {}, h("tr", {}, head)), h("tbody", {}, body)));
  const left = at("latest").querySelector(".scroll")?.scrollLeft ?? 0;
  at("latest").replaceChildren(shown);
  shown.scrollLeft = left;
  if (focus) at("latest").querySelector(`[data-id="${CSS.escape(focus)}"]`)?.focus({ preventScroll: true });
}

// ---------------------------------------------------------------- questions

/** A name within a sentence: not endless, and in its own direction of writing. */
const named = (name) => `\u2068${name.length > 32 ? `${name.slice(0, 31)}…` : name}\u2069`;

/** What the project chose (`settings.start_page`: questions, or {title, question}), else four about its most frequent events. */
async function questions() {
  const chosen = state.project.settings.start_page;
  if (Array.isArray(chosen) && chosen.length) return chosen.map((one) => (one.question ? one : { title: "", question: one }));
  const names = (await call(inProject("event-names"))).slice(0, 3).map((name) => name.event);
  return [
    { title: "Events a day, last 30 days", question: { kind: "trend", series: [{ measure: "count" }], interval: "day", last: "29 days" } },
    names.length > 1 && { title: `From ${names.map(named).join(" to ")}, last 30 days`, question: { kind: "funnel", steps: names, last: "30 days" } },
    { title: `People who did ${named(names[0])} and came back, by week`, question: { kind: "retention", start_event: names[0], return_event: {}, period: "week", intervals: 7, last: "7 weeks" } },
    { title: "Event names, in SQL", question: { kind: "sql", sql: "SELECT event, count() AS events, uniqExact(person_hash) AS ids\nFROM events\nGROUP BY event\nORDER BY events DESC\nLIMIT 10" } },
  ].filter(Boolean);
}

async function answers() {
  const project = state.project;
  let list;
  try {
    list = await questions();
  } catch (error) {
    return project === state.project && failed(error, "The questions below may be old.");
  }
  if (project !== state.project) return;
  const place = at("questions");
  list.forEach((one, index) => {
    if (!place.children[index]) place.append(h("section", { class: "card" }, h("header", {}, h("h2", {}, one.title || titleOf(one.question))), h("div", { class: "waits chart" })));
  });
  await Promise.all(list.map(async (one, index) => {
    const card = await ask(one.question).then((answer) => answered(one, answer), (error) => unanswered(one, error));
    if (project !== state.project || !place.children[index]) return;
    const open = [...place.children[index].querySelectorAll("details")].map((details) => details.open);
    if (place.children[index].contains(document.activeElement)) return; // nothing moves under a reader's hands
    card.querySelectorAll("details").forEach((details, number) => { details.open = open[number] ?? false; });
    place.children[index].replaceWith(card);
  }));
}

const titleOf = (question) => question.kind.charAt(0).toUpperCase() + question.kind.slice(1).replaceAll("_", " ");

function answered(one, answer) {
  const drawn = picture(answer);
  const body = drawn ?? (answer.rows.length ? tableOf(answer) : h("p", { class: "quiet" }, "No rows for this range."));
  return h("section", { class: isWide(answer) ? "card full" : "card" },
    h("header", {}, h("h2", {}, one.title || titleOf(one.question))),
    body,
    drawn ? h("details", {}, h("summary", {}, "Table"), tableOf(answer)) : null,
    h("details", {}, h("summary", {}, `Receipt: ${answer.receipt.exact ? "exact" : "approximate"}, ${full(answer.receipt.rows_read)} rows read`), receipt(answer.receipt)));
}

function unanswered(one, error) {
  const detail = error instanceof Refused ? error.detail : { message: "The server cannot be reached." };
  return h("section", { class: "card" }, h("header", {}, h("h2", {}, one.title || titleOf(one.question))),
    h("p", { class: "notice bad" }, [detail.message, detail.way_out, detail.error_id && `Id: ${detail.error_id}.`].filter(Boolean).join(" ")));
}

function receipt(said) {
  const { sql, ...rest } = said;
  const words = (value) => (typeof value === "object" && value !== null ? Object.entries(value).map(([name, one]) => `${name} ${one}`).join(", ") : full(value));
  const shown = Object.entries(rest).filter(([, value]) => value !== null && value !== "" && !(Array.isArray(value) && !value.length));
  return h("div", {},
    h("dl", {}, shown.flatMap(([name, value]) => [h("dt", {}, name.replaceAll("_", " ")), h("dd", {}, Array.isArray(value) ? value.join(" ") : typeof value === "boolean" ? (value ? "yes" : "no") : words(value))])),
    sql ? h("pre", { tabindex: 0, "aria-label": "SQL" }, sql) : null);
}

// ------------------------------------------------------------------- health

async function health() {
  const place = at("health");
  try {
    const report = await (await fetch("/health", { cache: "no-store" })).json();
    const bad = report.checks.filter((check) => !check.ok);
    place.replaceChildren(bad.length
      ? h("div", { class: "notice bad" }, bad.map((check) => h("p", {}, `Attention, ${check.name}: ${check.detail} ${check.way_out}`)))
      : `All ${report.checks.length} checks are green. Almanac ${report.version}.`);
  } catch {
    place.textContent = "The server cannot be reached; it is tried again by itself.";
  }
}

at("forget").addEventListener("click", forget);
addEventListener("hashchange", open);
health();
setInterval(() => document.hidden || health(), HEALTH);
open();
