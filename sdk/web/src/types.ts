/** What the page says and gets: the whole public surface. */

/** Whether something may happen: `pending` keeps events in memory until there is an answer. */
export type Consent = "granted" | "pending" | "denied";

/** One state for everything, or one for each purpose; a purpose that is not named is denied. */
export type ConsentGiven = Consent | Record<string, Consent>;

/** Values go by `JSON.stringify`. */
export type Properties = Record<string, unknown>;

/** An event as it is sent; the members are those of `POST /api/v1/events`. */
export interface Item {
  id: string;
  time: string;
  event?: string;
  kind?: string;
  user_id?: string;
  anonymous_id?: string;
  previous_id?: string;
  session_id?: string;
  url?: string;
  title?: string;
  referrer?: string;
  properties?: Properties;
  person?: { set?: Properties; set_once?: Properties };
  groups?: Record<string, string>;
  group?: { type: string; key: string; set?: Properties };
  [more: string]: unknown;
}

/** Something that the page's author should know. `events`: how many were given up because of it. */
export interface Problem {
  reason: "misuse" | "too_large" | "queue_full" | "refused" | "rejected" | "failed";
  detail: string;
  events: number;
}

/** What an event is, besides its name and its properties. */
export interface TrackOptions {
  /** The purpose whose consent it needs. */
  purpose?: string;
}

export interface Options {
  /** The project's write key. */
  key: string;
  /** Where Almanac is, such as `https://almanac.example.com`, or a path of this site that leads there. Without it: this site. */
  host?: string;
  /** The whole address that events go to, where it is not `host` + `/api/v1/events`. */
  endpoint?: string;
  /** Page views by themselves, also of single-page apps. `"hash"`: a new `#` is a new page. */
  pages?: boolean | "hash";
  /** Clicks and forms: those that are marked by `data-almanac`, or all. */
  autocapture?: false | "marked" | "all";
  /** Before anybody was asked. Without it everything is granted. */
  consent?: ConsentGiven;
  /** Whether Do Not Track and Global Privacy Control turn what `consent` grants into a denial. */
  honourSignals?: boolean;
  /** Stores nothing on the device. People are told apart by a number that the server forgets each day. */
  cookieless?: boolean;
  /** Keeps the ids in a cookie of this domain and all below it, such as `example.com`, and not in the storage of one host. */
  cookieDomain?: string;
  /** A session ends after so many minutes without an event. */
  sessionMinutes?: number;
  /** Events wait so long for further ones. */
  flushSeconds?: number;
  /** So many events are not waited beyond. */
  flushAt?: number;
  /** Most events that wait while they cannot be sent; beyond it the oldest go. */
  queueLimit?: number;
  /** Sees each event last: may change it, or drop it by giving null. */
  beforeSend?: (item: Item) => Item | null;
  /** Told of what goes wrong; without it the console is. */
  onProblem?: (problem: Problem) => void;
}

export interface Almanac {
  /** Something happened. */
  track(event: string, properties?: Properties, options?: TrackOptions): void;
  /** A page was seen; for those that `pages` does not see. */
  page(name?: string, properties?: Properties): void;
  /** Who this is from now on, and what is known of the person. */
  identify(user: string, set?: Properties, setOnce?: Properties): void;
  /** The person of now is also known as `id`. */
  alias(id: string): void;
  /** Whom the events from now on belong to besides, such as `("company", "acme")`. */
  group(type: string, key: string, set?: Properties): void;
  /** Money came in (or went back, below zero): an event that `revenue` counts. */
  revenue(amount: number, currency: string, properties?: Properties, event?: string): void;
  /** Properties of all events from now on; undefined takes one away. */
  register(properties: Properties): void;
  /** Answers what is allowed; with `given`, that is what is allowed from now on. */
  consent(given?: ConsentGiven): Record<string, Consent>;
  /** Somebody else may be here now: other ids, another session. */
  reset(): void;
  /** Sends what waits. True when everything has arrived. */
  flush(): Promise<boolean>;
  /** The ids of now, for a server that speaks of the same person. */
  ids(): { anonymous: string; user?: string; session?: string };
}
