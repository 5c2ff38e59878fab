/** Parts of a whole, as a ring; at most seven, and the rest. */

import type { EChartsOption } from "echarts";
import { percent } from "../format";
import { type Context, cut, type Drawing, framed, Marks, MOST_SERIES } from "./drawing";
import { colourOf } from "./palette";
import { OTHER, type Series } from "./readings";
import { tooltip } from "./tooltip";
import { said } from "./units";

export function pie(reading: Series, context: Context): Drawing {
  const { palette, options, of } = context;
  const line = reading.lines[0];
  const parts = reading.keys
    .map((key, place) => ({
      key,
      name: reading.labels[place] ?? key,
      value: line?.values[place] ?? 0,
      row: line?.rows[place] ?? null,
    }))
    .filter((part) => part.value > 0 && !options.hidden?.includes(part.name))
    .sort((one, other) => Number(one.key === OTHER) - Number(other.key === OTHER) || other.value - one.value);
  const notes: string[] =
    reading.adds === "people" ? ["A person may be in several of these; shares are of their sum."] : [];
  const kept = parts.length > MOST_SERIES + 1 ? parts.slice(0, MOST_SERIES) : parts;
  const rest = parts.slice(kept.length);
  if (rest.length) {
    kept.push({ key: OTHER, name: OTHER, value: rest.reduce((sum, part) => sum + part.value, 0), row: null });
    notes.push(`The smallest ${rest.length} are “${OTHER}” here; the table has each of them.`);
  }
  const total = kept.reduce((sum, part) => sum + part.value, 0);
  const marks = new Marks(of);
  const unit = line?.unit ?? "count";
  const narrow = context.width < 420;
  const option: EChartsOption = {
    ...framed(context),
    series: [
      {
        type: "pie",
        radius: ["48%", "72%"],
        center: ["50%", "50%"],
        startAngle: 90,
        emphasis: { scale: false },
        itemStyle: { borderColor: palette.surface, borderWidth: 1 },
        label: {
          color: palette.ink,
          fontSize: 12,
          lineHeight: 16,
          formatter: ({ name, value }: { name: string; value?: unknown }) =>
            `${cut(name, narrow ? 80 : 160)}\n{faint|${said(Number(value), unit, of)} · ${percent(Number(value) / total)}}`,
          rich: { faint: { color: palette.faint, fontSize: 12 } },
        },
        labelLine: { length: 8, length2: 8, lineStyle: { color: palette.line } },
        data: kept.map((part, place) => ({
          name: part.name,
          value: part.value,
          itemStyle: { color: colourOf(palette, place, part.key === OTHER) },
          mark: marks.add({
            series: 0,
            data: place,
            name: "",
            place: part.name,
            value: part.value,
            unit,
            row: part.row,
            more: percent(part.value / total),
          }),
        })),
      },
    ],
  };
  option.tooltip = {
    ...(option.tooltip as object),
    trigger: "item",
    formatter: (found: unknown) => {
      const part = kept[(found as { dataIndex?: number }).dataIndex ?? 0];
      return part
        ? tooltip(part.name, [{ name: reading.valueName, value: part.value, unit, share: part.value / total }], of)
        : "";
    },
  };
  return { option, marks: marks.all, notes, height: 240, series: reading.labels };
}
