/** A chart in a sentence or two, for those who do not see it. */

import type { Reading } from "./readings";
import { inFull } from "./time";
import type { Mark } from "./types";
import { saidInFull } from "./units";

export function summaryOf(reading: Reading, marks: Mark[]): string {
  if (!marks.length) return "Nothing to draw.";
  if (reading.form === "series" && reading.axis !== "category") {
    const first = reading.keys[0] ?? "";
    const last = reading.keys[reading.keys.length - 1] ?? "";
    const ends =
      reading.axis === "time"
        ? `from ${inFull(first, reading.interval)} to ${inFull(last, reading.interval)}`
        : `${reading.axisName || "Places"} ${first} to ${last}`;
    const lines = reading.lines.slice(0, 4).map((line) => {
      const there = line.values.filter((value) => value !== null);
      const [start, end] = [there[0] ?? null, there[there.length - 1] ?? null];
      const range = there.length
        ? `, between ${saidInFull(Math.min(...there), line.unit)} and ${saidInFull(Math.max(...there), line.unit)}`
        : "";
      return `${line.name || reading.valueName}: ${saidInFull(start, line.unit)} to ${saidInFull(end, line.unit)}${range}`;
    });
    const more = reading.lines.length > 4 ? `, and ${reading.lines.length - 4} more lines` : "";
    return `${reading.keys.length} points, ${ends}. ${lines.join("; ")}${more}.`;
  }
  const said = marks.slice(0, 5).map((mark) => mark.sentence);
  return `${said.join(". ")}${marks.length > 5 ? `. And ${marks.length - 5} more` : ""}.`;
}
