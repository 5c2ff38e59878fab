let last = 0;
let count = 0;

/**
 * A UUID of version 7 (RFC 9562, 5.7): 48 bits of milliseconds, 12 that count within one (6.2, method 1), 62 of chance. The order of ids is
 * the order of events. `crypto.randomUUID` is missing on pages without TLS.
 */
export function uuid(now: number): string {
  count = now === last ? count + 1 : 0;
  last = now;
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  bytes[0] = ((bytes[0] ?? 0) & 63) | 128;
  const head = now.toString(16).padStart(12, "0") + (0x7000 | (count & 0xfff)).toString(16);
  const text = head + Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return text.replace(/(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/** When such an id was made, in ms since 1970. */
export const madeAt = (id: string): number => Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
