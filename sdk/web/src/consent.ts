import type { Consent, ConsentGiven } from "./types";

/** What is allowed by purpose; `*` is any that is not named. */
export type Book = Record<string, Consent>;

/** The state of one purpose. */
export const stateOf = (book: Book, purpose: string): Consent => book[purpose] ?? book["*"] ?? "denied";

const each = (book: Book, turn: (state: Consent, purpose: string) => Consent): Book =>
  Object.fromEntries(Object.entries(book).map(([purpose, state]) => [purpose, turn(state, purpose)]));

/** With what the visitor says now. */
export const changed = (book: Book, given: ConsentGiven): Book =>
  typeof given === "object" ? { ...book, ...given } : { "*": given };

/** Before anybody was asked. `signal`: the browser says that the visitor does not want to be followed. */
export const opening = (given: ConsentGiven = "granted", signal: boolean): Book =>
  each(changed({ "*": "denied" }, given), (state) => (signal && state === "granted" ? "denied" : state));

/** With what the visitor said on an earlier page: it answers what is pending, and nothing else. */
export const recalled = (book: Book, kept: Book): Book =>
  each({ ...kept, ...book }, (_, purpose) =>
    stateOf(book, purpose) === "pending" ? stateOf(kept, purpose) : stateOf(book, purpose),
  );

/** Do Not Track or Global Privacy Control. */
export const signalled = (): boolean =>
  (navigator as { globalPrivacyControl?: boolean }).globalPrivacyControl === true || navigator.doNotTrack === "1";
