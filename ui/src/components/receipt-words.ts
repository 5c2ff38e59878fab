/** An answer's receipt in a line. */

import { duration, short } from "../format";

/** "exact · 1.2 M rows read · 12 s old". `age`: seconds since the numbers were read; left out: it is not said. */
export function receiptLine(receipt: Record<string, unknown>, age?: number): string {
  const parts = [
    receipt.exact === false
      ? `approximate${receipt.approximation ? ` (${String(receipt.approximation)})` : ""}`
      : "exact",
  ];
  if (typeof receipt.rows_read === "number") parts.push(`${short(receipt.rows_read)} rows read`);
  if (age !== undefined)
    parts.push(
      age < 5 ? "just now" : `${duration(age < 60 ? Math.floor(age / 5) * 5 : Math.floor(age / 60) * 60)} old`,
    );
  return parts.join(" · ");
}

/** How old an answer is, in seconds: its age in the cache when it came, and the time since. */
export function ageOf(receipt: Record<string, unknown>, cameAt: number, now: number): number {
  const kept = typeof receipt.cache_age === "number" ? receipt.cache_age : 0;
  return Math.max(0, kept + (now - cameAt) / 1000);
}
