/** Zones to choose from: UTC first, then those that are chosen already, though the browser may not list them, then all that it knows. */
export function zones(...chosen: string[]): string[] {
  return [...new Set(["UTC", ...chosen.filter(Boolean), ...Intl.supportedValuesOf("timeZone")])];
}
