import { attempt } from "./attempt";
import { bodyOf, pause, portion, verdict, type Waiting } from "./delivery";
import { madeAt } from "./id";
import type { Shelf } from "./shelf";
import type { Problem } from "./types";

/** What waits to be sent, and its sending: one request at a time, the same ids again until the server has them. */
export interface Outbox {
  add(item: Waiting): void;
  /** True when everything has arrived. */
  flush(): Promise<boolean>;
  /** Sends what earlier pages left behind. */
  sweep(): void;
  /** Gives up what is not `wanted` any more. */
  keepOnly(wanted: (purpose: string) => boolean): void;
}

export interface OutboxOptions {
  key: string;
  endpoint: string;
  flushMs: number;
  flushAt: number;
  limit: number;
  shelf: Shelf;
  /** Whether events may be kept on the device. */
  durable: () => boolean;
  wanted: (purpose: string) => boolean;
  /** Until when the server asked to be left alone, also by other tabs. */
  until: () => number;
  hold: (until: number) => void;
  /** Tells of what has happened and was not told yet, before a page is left. */
  settle: () => void;
  report: (reason: Problem["reason"], detail: string, events?: number) => void;
}

const MOST = 50; // events in one request
const SAVE = 100; // ms: most events are sent and forgotten before a page can crash, and what is at hand is kept in one go
const OWN = 5e3; // ms after which another page's event counts as left behind
const PORTION = 100; // events taken from the shelf at a time

export function outboxOf(options: OutboxOptions): Outbox {
  const { key, endpoint, limit, shelf, durable, report } = options;
  let queue: Waiting[] = [];
  let flying: Waiting[] = [];
  let running: Promise<boolean> | undefined;
  let timer = 0;
  let saving = 0;
  let tries = 0;
  let rest = 0; // our own pause ends then
  let most = MOST;

  const remove = (items: Waiting[]) => {
    const gone = new Set(items.map((item) => item.id));
    queue = queue.filter((item) => !gone.has(item.id));
    shelf.remove(items.filter((item) => item.saved).map((item) => item.id));
  };
  const save = () => {
    clearTimeout(saving);
    saving = 0;
    const fresh = queue.filter((item) => !item.saved);
    if (!durable() || !fresh.length) return;
    for (const item of fresh) item.saved = true;
    shelf.put(fresh, limit);
  };
  const wait = (ms: number) => {
    clearTimeout(timer);
    timer = setTimeout(flush, ms);
  };
  const drain = async (): Promise<boolean> => {
    while (queue.length) {
      const now = Date.now();
      const until = Math.max(rest, options.until());
      if (navigator.onLine === false) return false; // `online` wakes us
      if (now < until) {
        wait(until - now);
        return false;
      }
      flying = portion(queue, most);
      let asked: string | null = null;
      let said: ReturnType<typeof verdict> = "later";
      let body = "";
      try {
        const bytes = bodyOf(flying, key, now);
        // What is under way outlives its page; there is room for 64 KiB of such, so that a second try does without.
        const keepalive = !tries && bytes.length < 6e4;
        const signal = AbortSignal.timeout?.(3e4);
        const answer = await fetch(endpoint, { method: "POST", body: bytes, keepalive, signal });
        asked = answer.headers.get("retry-after");
        body = await answer.text();
        said = verdict(answer.status, body);
      } catch {
        // No answer: the same again, later.
      }
      const sent = flying;
      flying = [];
      if (said === "done") {
        tries = 0;
        most = Math.min(MOST, most * 2);
        remove(sent);
        // Events that the server put among its dead letters.
        attempt(() => {
          for (const one of JSON.parse(body).rejected) report("rejected", one.detail);
        });
      } else if (said === "later") {
        const ms = pause(tries++, asked, Date.now(), Math.random());
        if (asked) options.hold(Date.now() + ms);
        rest = Date.now() + ms;
        wait(ms);
        return false;
      } else if (sent.length > 1) most = Math.ceil(sent.length / 2);
      else {
        remove(sent);
        report("refused", `The server takes no such event: ${body.slice(0, 300)}`, 1);
      }
    }
    return true;
  };
  const flush = (): Promise<boolean> => {
    clearTimeout(timer);
    timer = 0;
    running ??= drain().finally(() => {
      running = undefined;
    });
    return running;
  };
  const take = async () => {
    for (;;) {
      const own = new Set(queue.map((item) => item.id));
      const found = (await shelf.oldest(PORTION)).filter(
        ({ id }) => !own.has(id) && Math.abs(Date.now() - madeAt(id)) > OWN,
      );
      if (!found.length) return;
      for (const item of found) item.saved = true;
      const wanted = found.filter((item) => options.wanted(item.purpose));
      shelf.remove(found.filter((item) => !wanted.includes(item)).map((item) => item.id));
      queue.push(...wanted);
      if (!(await flush())) return;
    }
  };
  const sweep = () => {
    if (!durable()) return;
    const { locks } = navigator;
    // One tab is enough. Without locks several may send the same, which counts once.
    if (locks)
      locks.request(`almanac_${key}`, { ifAvailable: true }, (lock) => (lock ? take() : undefined)).catch(take);
    else take();
  };
  const leave = () => {
    save();
    // Nobody learns what becomes of a beacon: what the shelf has is sent again by the next page, and counts once.
    if (durable() && Date.now() < options.until()) return;
    let waiting = queue.filter((item) => tries || !flying.includes(item));
    while (waiting.length) {
      const some = portion(waiting, MOST);
      if (!navigator.sendBeacon(endpoint, bodyOf(some, key, Date.now()))) return;
      waiting = waiting.slice(some.length);
    }
    rest = Date.now() + 1e3; // the tab is told to be hidden next: not all of it again
  };
  for (const name of ["pagehide", "visibilitychange"])
    addEventListener(name, (event) => {
      options.settle();
      if (event.type === "pagehide") return leave();
      save();
      if (document.visibilityState === "hidden") flush();
    });
  addEventListener("online", () => {
    rest = tries = 0;
    flush().then(sweep);
  });
  return {
    add(item) {
      queue.push(item);
      if (queue.length > limit) {
        remove(queue.slice(0, -limit));
        report("queue_full", "Too many events wait; the oldest was given up.", 1);
      }
      saving ||= setTimeout(save, SAVE);
      if (Date.now() < rest) return;
      if (queue.length >= options.flushAt) flush();
      else timer ||= setTimeout(flush, options.flushMs);
    },
    flush,
    sweep,
    keepOnly(wanted) {
      remove(queue.filter((item) => !wanted(item.purpose)));
    },
  };
}
