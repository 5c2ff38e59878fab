/** Bars by name: lying, so that long names can be read, the greatest on top as the answer has them. */

import type { BarSeriesOption, EChartsOption } from "echarts";
import { change, percent } from "../format";
import { axisText, type Context, cut, type Drawing, framed, legend, Marks, shownLines, widthOf } from "./drawing";
import { faded, inkOn } from "./palette";
import type { Line, Series } from "./readings";
import { type TooltipLine, tooltip } from "./tooltip";
import { said } from "./units";

/** More bars than these are in the table alone. */
const MOST_BARS = 40;
const MOST_IN_A_TILE = 12;

export function lying(reading: Series, context: Context, type: "bar" | "stacked"): Drawing {
  const { palette, options, of } = context;
  const { lines, notes, names } = shownLines(reading, context);
  const stacked = type === "stacked";
  const most = options.compact ? MOST_IN_A_TILE : MOST_BARS;
  const places = reading.keys.map((_, place) => place).slice(0, most);
  if (reading.keys.length > most) notes.push(`The first ${most} of ${reading.keys.length}; all are in the table.`);
  if (lines.some((line) => line.before)) notes.push("Lighter: the period before.");
  const several = lines.length > 1;
  const marks = new Marks(of);
  const totals = new Map<Line, number>(
    lines.map((line) => [line, line.values.reduce<number>((sum, value) => sum + (value ?? 0), 0)]),
  );
  const share = (line: Line, value: number | null) => {
    const total = totals.get(line) ?? 0;
    return reading.adds === "yes" && !stacked && value !== null && total > 0 && reading.keys.length > 1
      ? value / total
      : null;
  };
  const said_ = (line: Line, place: number) => {
    const value = line.values[place] ?? null;
    const before = line.before?.[place] ?? null;
    const more = [
      share(line, value) === null ? "" : percent(share(line, value)),
      before ? change(value, before) : "",
    ].filter(Boolean);
    return `${said(value, line.unit, of)}${more.length ? `  {faint|${more.join("  ")}}` : ""}`;
  };
  const drawn: BarSeriesOption[] = [];
  for (const line of lines) {
    const bar = barsOf(
      line,
      places,
      reading,
      context,
      marks,
      drawn.length + (line.before && !stacked ? 1 : 0),
      stacked,
    );
    if (line.before && !stacked) drawn.push(beforeOf(line, places));
    const room = {
      show: true,
      position: stacked ? "inside" : "right",
      color: stacked ? inkOn(line.colour) : palette.ink,
      fontSize: 12,
    } as const;
    const text = (place: number) => (stacked ? said(line.values[place] ?? null, line.unit, of) : said_(line, place));
    const label = {
      ...room,
      formatter: ({ dataIndex }: { dataIndex: number }) => text(places[dataIndex] ?? 0),
      rich: { faint: { color: palette.faint, fontSize: 12 } },
    };
    drawn.push({
      ...bar,
      ...(!several || stacked || lines.length <= 3 ? { label } : {}),
      ...(stacked ? { labelLayout: { hideOverlap: true } } : {}),
    });
  }
  const longest = Math.max(...places.map((place) => widthOf(reading.labels[place] ?? "")), 24);
  const left = Math.min(longest + 8, context.width * (context.width < 480 ? 0.36 : 0.4));
  const bands = stacked ? 1 : drawn.length;
  const band = Math.max(stacked || bands === 1 ? 28 : 14 * bands + 8, 24);
  const legends = several ? 28 : 0;
  const rightRoom =
    stacked || (several && lines.length > 3)
      ? 16
      : Math.min(
          120,
          Math.max(
            ...lines.flatMap((line) => places.map((place) => widthOf(said_(line, place).replace(/[{|}]|faint/g, "")))),
            24,
          ) + 12,
        );
  const option: EChartsOption = {
    ...framed(context),
    ...(several
      ? {
          legend: legend(
            context,
            lines.map(({ name, colour }) => ({ name, colour })),
          ),
        }
      : {}),
    grid: { top: legends + 4, left: left + 8, right: rightRoom, bottom: 4, outerBoundsMode: "none" },
    yAxis: {
      type: "category",
      inverse: true,
      data: places.map((place) => reading.keys[place] ?? ""),
      axisLine: { lineStyle: { color: palette.line } },
      axisTick: { show: false },
      axisLabel: {
        ...axisText(palette),
        color: palette.ink,
        interval: 0,
        formatter: (_: string, place: number) => cut(reading.labels[places[place] ?? 0] ?? "", left - 4),
      },
    },
    xAxis: {
      type: "value",
      min: (found: { min: number }) => Math.min(found.min, 0),
      axisLabel: { show: false },
      splitLine: { show: false },
      axisLine: { show: false },
    },
    series: drawn,
  };
  option.tooltip = {
    ...(option.tooltip as object),
    trigger: "axis",
    axisPointer: { type: "shadow", shadowStyle: { color: faded(palette.faint, 0.1) } },
    formatter: (found: unknown) => {
      const at =
        places[((Array.isArray(found) ? found[0] : found) as { dataIndex?: number } | undefined)?.dataIndex ?? 0] ?? 0;
      const rows = lines.map((line): TooltipLine => {
        const value = line.values[at] ?? null;
        return {
          name: line.name || reading.valueName,
          value,
          unit: line.unit,
          colour: line.colour,
          before: line.before?.[at] ?? null,
          share: share(line, value),
        };
      });
      return tooltip(reading.labels[at] ?? "", rows, of);
    },
  };
  return { option, marks: marks.all, notes, height: legends + 8 + band * places.length, series: names };
}

function barsOf(
  line: Line & { colour: string },
  places: number[],
  reading: Series,
  context: Context,
  marks: Marks,
  series: number,
  stacked: boolean,
): BarSeriesOption {
  return {
    type: "bar",
    name: line.name,
    barMaxWidth: 20,
    emphasis: { disabled: true },
    itemStyle: { color: line.colour, ...(stacked ? { borderColor: context.palette.surface, borderWidth: 0.5 } : {}) },
    ...(stacked ? { stack: "all" } : {}),
    data: places.map((place, data) => {
      const value = line.values[place] ?? null;
      if (value === null) return { value: "-" as const };
      return {
        value,
        mark: marks.add({
          series,
          data,
          name: line.name,
          place: reading.labels[place] ?? "",
          value,
          unit: line.unit,
          row: line.rows[place] ?? null,
        }),
      };
    }),
  };
}

function beforeOf(line: Line & { colour: string }, places: number[]): BarSeriesOption {
  const edge = {
    color: faded(line.colour, 0.22),
    borderColor: line.colour,
    borderType: "dashed" as const,
    borderWidth: 1,
    opacity: 0.6,
  };
  return {
    type: "bar",
    name: line.name,
    silent: true,
    barMaxWidth: 20,
    data: places.map((place) => line.before?.[place] ?? "-"),
    itemStyle: edge,
  };
}
