/** What is reckoned about sending: how much at a time, what an answer means, how long to wait. */

/** An event that waits to be sent: its id, its JSON text and the purpose that it was taken for. */
export interface Waiting {
  id: string;
  text: string;
  purpose: string;
  /** Whether the shelf has it. */
  saved?: boolean;
}

const MOST_CHARACTERS = 40_000; // a request that outlives its page may have 64 KiB

/** The first of `queue` that go into one request: at most `most`, at least one. */
export function portion(queue: Waiting[], most: number): Waiting[] {
  let characters = 0;
  return queue.slice(0, most).filter((item, index) => {
    characters += item.text.length;
    return !index || characters < MOST_CHARACTERS;
  });
}

/** One request's body. */
export const bodyOf = (items: Waiting[], key: string, now: number): Uint8Array<ArrayBuffer> =>
  new TextEncoder().encode(
    `{"batch":[${items.map((item) => item.text)}],"sent_at":"${new Date(now).toISOString()}","write_key":${JSON.stringify(key)}}`,
  );

/** `done`: the server has them. `smaller`: it may take them in smaller parts, one alone never. `later`: as they are. */
export type Verdict = "done" | "smaller" | "later";

/** A success counts only when it speaks of accepted events: hotel gates and catch-all pages answer 200 too. */
export function verdict(status: number, body: string): Verdict {
  if (status >= 200 && status < 300) return body.includes('"accepted":') ? "done" : "later";
  return status === 400 || status === 413 ? "smaller" : "later";
}

/** Milliseconds until the next try: what the server asks for (seconds or a date, an hour at most), or 1 s, 2 s, 4 s to a minute, half of it by chance. */
export function pause(attempt: number, retryAfter: string | null, now: number, chance: number): number {
  const own = Math.min(6e4, 1e3 * 2 ** attempt) * (1 - chance / 2);
  const asked = retryAfter ? Number(retryAfter) * 1e3 || Date.parse(retryAfter) - now || 0 : 0;
  return Math.max(own, Math.min(asked, 36e5));
}
