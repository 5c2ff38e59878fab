/** Numbers, durations and times as people read them. Zero is 0, a missing value is a dash. */

export const MISSING = "–";

const full = new Intl.NumberFormat("en", { maximumFractionDigits: 6 });

/** 12 934 → "12.9 K"; at most three significant digits. For tiles and axes. */
export function short(value: number | null | undefined): string {
  if (value === null || value === undefined || Number.isNaN(value)) return MISSING;
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size < 1000) return trim(size < 1 ? value.toPrecision(2) : value.toPrecision(3));
  const units = ["K", "M", "B", "T"];
  let step = Math.min(Math.floor(Math.log10(size) / 3), units.length);
  if (Math.abs(Number((value / 1000 ** step).toPrecision(3))) >= 1000 && step < units.length) step += 1;
  return `${trim((value / 1000 ** step).toPrecision(3))} ${units[step - 1]}`;
}

/** 12934.5 → "12,934.5", with a narrow space for the comma. For tables and hovers. */
export function whole(value: number | null | undefined): string {
  if (value === null || value === undefined || Number.isNaN(value)) return MISSING;
  return full.format(value).replaceAll(",", " ");
}

/** 0.0734 → "7.3 %": one decimal below 10 %. */
export function percent(rate: number | null | undefined): string {
  if (rate === null || rate === undefined || Number.isNaN(rate)) return MISSING;
  const value = rate * 100;
  if (value === 0) return "0 %";
  return `${Math.abs(value) < 9.95 ? value.toFixed(1) : value.toFixed(0)} %`;
}

/** 134 → "2 m 14 s"; two units at most. */
export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return MISSING;
  if (seconds < 0) return `−${duration(-seconds)}`;
  if (seconds < 1) return seconds === 0 ? "0 s" : `${Math.round(seconds * 1000)} ms`;
  const parts: [number, string][] = [
    [86_400, "d"],
    [3600, "h"],
    [60, "m"],
    [1, "s"],
  ];
  let rest = Math.round(seconds);
  const said: string[] = [];
  for (const [length, unit] of parts) {
    if (said.length === 2) break;
    const count = Math.floor(rest / length);
    if (count > 0) said.push(`${count} ${unit}`);
    else if (said.length === 1) break;
    rest -= count * length;
  }
  return said.join(" ");
}

/** A change beside the value before it: "+12 %", "−3.4 %"; a dash where nothing was there before. */
export function change(now: number | null | undefined, before: number | null | undefined): string {
  if (now === null || now === undefined || !before) return MISSING;
  const rate = (now - before) / Math.abs(before);
  return `${rate > 0 ? "+" : rate < 0 ? "−" : ""}${percent(Math.abs(rate))}`;
}

/** An instant in a zone: "21 Nov 2026, 18:47". */
export function moment(
  instant: string | number | Date,
  zone = "UTC",
  options: Intl.DateTimeFormatOptions = {},
): string {
  const at = new Date(instant);
  if (Number.isNaN(at.getTime())) return MISSING;
  return new Intl.DateTimeFormat("en-GB", {
    day: "numeric",
    month: "short",
    year: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    timeZone: zone,
    ...options,
  }).format(at);
}

/** How long ago: "just now", "12 s ago", "3 h ago"; beyond 30 days the date. */
export function ago(instant: string | number | Date, now: number = Date.now()): string {
  const at = new Date(instant).getTime();
  if (Number.isNaN(at)) return MISSING;
  const seconds = Math.round((now - at) / 1000);
  if (seconds < 5) return "just now";
  if (seconds > 30 * 86_400) return moment(instant, undefined, { hour: undefined, minute: undefined });
  return `${duration(seconds).split(" ").slice(0, 2).join(" ")} ago`;
}

function trim(digits: string): string {
  return digits.includes("e") ? String(Number(digits)) : digits.includes(".") ? digits.replace(/\.?0+$/, "") : digits;
}
