import { attempt } from "./attempt";
import { changed, opening, recalled, signalled, stateOf } from "./consent";
import type { Waiting } from "./delivery";
import { uuid } from "./id";
import { keeperOf, type State } from "./keeper";
import { outboxOf } from "./outbox";
import { sessionAt } from "./session";
import { shelfOf } from "./shelf";
import type { Almanac, Consent, ConsentGiven, Item, Options, Problem, Properties } from "./types";
import { type View, viewsOf } from "./views";

declare const __VERSION__: string;

const ANALYTICS = "analytics";
const LARGEST = 1e5; // characters of an event: with the queue's limit they bound its memory
const NOBODY = /^(|null|undefined|NaN|0|\[.*\])$/;

/** Brings clicks and forms when they are asked for. */
export type Load = () => Promise<{ autocapture: (client: Almanac, mode: "marked" | "all") => unknown }>;

/** Starts. Nothing in here throws: a page must not break because of what counts it. */
export function create(options: Options, load: Load): Almanac {
  const key = options.key || "";
  const name = `almanac_${key}`;
  const keeper = keeperOf(name, options.cookieDomain);
  const shelf = shelfOf(name);
  const fresh = (): State => ({ anonymous: uuid(Date.now()) });
  const report = (reason: Problem["reason"], detail: string, events = 0) => {
    if (options.onProblem) options.onProblem({ reason, detail, events });
    else console.warn(`Almanac: ${detail}`);
  };

  const safely = <T>(what: string, work: () => T) => attempt(work, (error) => report("failed", `${what}: ${error}`));

  // ------------------------------------------------------------ consent and memory

  let book = opening(options.consent, options.honourSignals !== false && signalled());
  if (!options.cookieless) book = recalled(book, keeper.read()?.consent ?? book);
  let asked = options.consent !== undefined;
  let memory = fresh();
  const allowed = (purpose: string): Consent => (key ? stateOf(book, purpose) : "denied");
  const durable = () => !options.cookieless && allowed(ANALYTICS) === "granted";
  /** What is known now; other tabs may have changed it. */
  const recall = (): State => {
    if (durable()) memory = keeper.read() ?? memory;
    return memory;
  };
  const remember = (state: State) => {
    memory = state;
    if (durable()) keeper.write(state);
  };

  /** Nothing is learned of whoever said no. */
  const change = (part: Partial<State>) => {
    if (allowed(ANALYTICS) !== "denied") remember({ ...recall(), ...part });
  };
  const forget = () => {
    if (!keeper.read()) return;
    keeper.clear();
    shelf.clear();
  };
  if (!durable() && allowed(ANALYTICS) !== "pending") forget(); // what an earlier page was allowed to keep

  // ------------------------------------------------------------ events

  let held: Waiting[] = []; // until there is an answer about their purposes
  const limit = options.queueLimit ?? 1000;
  const outbox = outboxOf({
    key,
    endpoint: options.endpoint ?? `${(options.host ?? "").replace(/\/+$/, "")}/api/v1/events`,
    flushMs: (options.flushSeconds ?? 1) * 1e3,
    flushAt: options.flushAt ?? 20,
    limit,
    shelf,
    durable,
    wanted: (purpose) => allowed(purpose) === "granted",
    until: () => recall().until ?? 0,
    hold: (until) => change({ until }),
    settle: () => views?.settle(),
    report,
  });
  let context: Properties | undefined;
  const surroundings = (): Properties => {
    context ??= {
      locale: navigator.language,
      utc_offset: -new Date().getTimezoneOffset(), // the name of the zone would take 15 ms: it loads Intl
      screen: { width: screen.width, height: screen.height },
    };
    return context;
  };
  const visit = (now: number): State => {
    const state = recall();
    const session = sessionAt(state.session, now, (options.sessionMinutes ?? 30) * 6e4, uuid);
    if (session.id !== state.session?.id || now - state.session.active > 1e3) remember({ ...state, session });
    return memory;
  };
  const bare = (address: string) => (options.pages === "hash" ? address : address.replace(/#.*/, ""));
  const send = (kind: string, members: Partial<Item>, purpose = ANALYTICS, view?: View) => {
    const state = allowed(purpose);
    if (state === "denied") return;
    const now = view?.at ?? Date.now();
    const known = visit(now);
    const made: Item = {
      id: uuid(now),
      time: new Date(now).toISOString(),
      kind,
      ...members,
      user_id: known.user,
      url: bare(view?.url ?? location.href),
      referrer: bare(view?.referrer ?? views?.referrer() ?? document.referrer),
      title: document.title,
      properties: { ...known.common, ...members.properties },
      groups: known.groups,
      context: surroundings(),
      library: { name: "almanac-web", version: __VERSION__ },
      flags: asked ? { consent: states(), purpose } : undefined,
    } as Item;
    if (options.cookieless) made.cookieless = true;
    else Object.assign(made, { anonymous_id: known.anonymous, session_id: known.session?.id });
    const item = options.beforeSend ? options.beforeSend(made) : made;
    if (!item) return;
    const text = JSON.stringify(item, (_, value) => (typeof value === "bigint" ? String(value) : value));
    const waiting = { id: item.id, text, purpose };
    if (text.length > LARGEST) report("too_large", `The event ${item.event ?? kind} is too large.`, 1);
    else if (state === "granted") outbox.add(waiting);
    else held = [...held.slice(1 - limit), waiting];
  };
  const states = (): Record<string, Consent> => {
    const { "*": _, ...named } = book;
    return { [ANALYTICS]: allowed(ANALYTICS), ...named };
  };
  const named = (event: string, properties?: Properties, purpose?: string) => {
    if (typeof event !== "string" || !event) report("misuse", "An event needs a name.");
    else send("track", { event, properties }, purpose);
  };

  // ------------------------------------------------------------ the page's side

  const client: Almanac = {
    track: (event, properties, how) => named(event, properties, how?.purpose),
    page: (event, properties) => send("page", { event, properties }),
    identify(user, set, setOnce) {
      const id = String(user);
      if (NOBODY.test(id)) return report("misuse", `${id || "Nothing"} is nobody's id.`);
      const before = recall().user;
      if (before === id && !set && !setOnce) return;
      if (before && before !== id) client.reset();
      change({ user: id });
      send("identify", { person: { set, set_once: setOnce } });
    },
    alias: (id) => send("alias", { previous_id: String(id) }),
    group(type, id, set) {
      change({ groups: { ...recall().groups, [type]: String(id) } });
      send("group", { group: { type, key: String(id), set } });
    },
    revenue(amount, currency, properties, event = "purchase") {
      if (!Number.isFinite(amount)) report("misuse", `${amount} is no amount of money.`);
      else named(event, { ...properties, revenue: amount, currency });
    },
    register: (properties) => change({ common: { ...recall().common, ...properties } }),
    consent(given) {
      if (given) {
        tell(given);
        tabs?.postMessage([given, memory]); // storage takes a moment to reach them
      }
      return states();
    },
    reset() {
      views?.settle();
      const { consent, until } = recall();
      remember({ ...fresh(), consent, until });
    },
    flush() {
      views?.settle();
      return outbox.flush();
    },
    ids() {
      const { anonymous, user, session } = recall();
      return { anonymous, user, session: session?.id };
    },
  };
  const tell = (given: ConsentGiven, known = keeper.read()) => {
    const before = allowed(ANALYTICS);
    views?.settle();
    const own = memory;
    book = changed(book, given);
    asked = true;
    outbox.keepOnly((purpose) => allowed(purpose) === "granted");
    if (durable()) remember({ ...own, ...known, consent: book });
    else forget();
    if (allowed(ANALYTICS) === "denied" && before !== "denied") memory = fresh();
    const waiting = held;
    held = [];
    for (const one of waiting) {
      const state = allowed(one.purpose);
      if (state === "pending") held.push(one);
      if (state !== "granted") continue;
      const item: Item = { ...JSON.parse(one.text), flags: { consent: states(), purpose: one.purpose } };
      // The visitor may have been known all along, or have answered in another tab.
      if (item.anonymous_id === own.anonymous) item.anonymous_id = memory.anonymous;
      if (item.session_id === own.session?.id) item.session_id = memory.session?.id;
      outbox.add({ ...one, text: JSON.stringify(item) });
    }
  };
  /** All tabs hear what the visitor answers in one. */
  const tabs = asked && "BroadcastChannel" in self ? new BroadcastChannel(name) : undefined;
  if (tabs) tabs.onmessage = ({ data: [given, known] }) => safely("consent", () => tell(given, known));

  // ------------------------------------------------------------ start

  let views: ReturnType<typeof viewsOf> | undefined;
  const begin = () => {
    views = viewsOf(options.pages ?? true, (view) => safely("page", () => send("page", {}, ANALYTICS, view)));
    if (options.autocapture) {
      const mode = options.autocapture;
      load().then(
        (part) => part.autocapture(client, mode),
        () => report("failed", "Autocapture could not be loaded."),
      );
    }
    for (const ms of [2e3, 1e4]) setTimeout(outbox.sweep, ms); // a page has better to do at its start
  };
  for (const [name, real] of Object.entries(client) as [keyof Almanac, (...given: never[]) => unknown][])
    (client as unknown as Record<string, unknown>)[name] = (...given: never[]) => safely(name, () => real(...given));
  if (!key) report("misuse", "There is no write key.");
  if ((document as { prerendering?: boolean }).prerendering)
    document.addEventListener("prerenderingchange", begin, { once: true });
  else begin();
  return client;
}
