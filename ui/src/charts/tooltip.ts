/** The text of tooltips, as HTML. Whatever comes from events is escaped: senders choose it. */

import { change, percent } from "../format";
import { saidInFull, type Unit, withinNoise } from "./units";

export function escaped(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("'", "&#39;");
}

export interface TooltipLine {
  name: string;
  value: number | null;
  unit: Unit;
  colour?: string;
  before?: number | null;
  share?: number | null;
  /** Said after the value. */
  more?: string;
}

/** A head, lines with their values, and what is to be known besides. */
export function tooltip(head: string, lines: TooltipLine[], of = "", foot: string[] = []): string {
  const rows = lines.map((line) => {
    const dot = line.colour
      ? `<span style="display:inline-block;width:8px;height:8px;border-radius:2px;margin-right:6px;background:${line.colour}"></span>`
      : "";
    const more = [
      line.share === null || line.share === undefined ? "" : percent(line.share),
      line.more ?? "",
      line.before === null || line.before === undefined ? "" : compared(line.value, line.before, line.unit, of),
    ].filter(Boolean);
    const name = `<td style="padding:1px 12px 1px 0;white-space:normal;overflow-wrap:anywhere">${dot}${escaped(line.name)}</td>`;
    const value = `<td style="text-align:right;font-weight:600;white-space:nowrap">${escaped(saidInFull(line.value, line.unit, of))}</td>`;
    return `<tr>${name}${value}<td style="padding-left:8px;opacity:.75">${more.map(escaped).join(" · ")}</td></tr>`;
  });
  const tail = foot
    .map((text) => `<div style="opacity:.75;margin-top:4px;white-space:normal">${escaped(text)}</div>`)
    .join("");
  return `<div style="font-weight:600;margin-bottom:4px;white-space:normal;overflow-wrap:anywhere">${escaped(head)}</div><table style="border-spacing:0">${rows.join("")}</table>${tail}`;
}

/** "before 120, +12 %", and whether chance would do as much. */
export function compared(now: number | null, before: number, unit: Unit, of = ""): string {
  const said = `before ${saidInFull(before, unit, of)}`;
  if (now === null || !before) return said;
  return `${said}, ${change(now, before)}${withinNoise(now, before, unit) ? " (within chance)" : ""}`;
}
