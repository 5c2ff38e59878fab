/** Lengths of time, as text or in parts. */

/** "14 days" or {value, unit} as both parts. */
export function windowOf(value: unknown): { value: number; unit: string } | null {
  if (value && typeof value === "object" && "value" in value) {
    const { value: count, unit } = value as { value: unknown; unit?: unknown };
    return { value: Number(count), unit: String(unit ?? "day") };
  }
  const match = /^\s*(\d+(?:\.\d+)?)\s*(second|minute|hour|day|week|month)s?\s*$/i.exec(String(value ?? ""));
  return match ? { value: Number(match[1]), unit: String(match[2]).toLowerCase() } : null;
}

export const windowText = (value: number, unit: string): string => `${value} ${unit}${value === 1 ? "" : "s"}`;
