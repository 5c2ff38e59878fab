/** Lines, areas and upright bars over time, or over first, second, third. */

import type { BarSeriesOption, EChartsOption, LineSeriesOption, ScatterSeriesOption } from "echarts";
import {
  axisText,
  type Context,
  cut,
  type Drawing,
  extent,
  framed,
  legend,
  Marks,
  MOST_DIRECT,
  shownLines,
  widthOf,
} from "./drawing";
import { faded } from "./palette";
import type { Line, Series } from "./readings";
import { annotationLines, labelled, placeAt, spoken, weekends } from "./time-axis";
import { type TooltipLine, tooltip } from "./tooltip";
import { said } from "./units";

type Coloured = Line & { colour: string };
type AnySeries = LineSeriesOption | BarSeriesOption | ScatterSeriesOption;
export type Upright = "line" | "area" | "bar" | "stacked";

export function upright(reading: Series, context: Context, type: Upright): Drawing {
  const { palette, options, of } = context;
  const { lines, notes, names } = shownLines(reading, context);
  const stacked = type === "stacked" || (type === "area" && lines.length > 1 && reading.adds !== "no");
  const bars = type === "bar" || type === "stacked";
  const direct =
    !bars &&
    !stacked &&
    lines.length <= MOST_DIRECT &&
    (lines.length > 1 || Boolean(lines[0]?.name)) &&
    !options.compact;
  const withLegend = !direct && lines.length > 1;
  const marks = new Marks(of);
  const drawn: AnySeries[] = [];
  for (const line of lines) {
    if (bars) barOf(drawn, line, reading, context, marks, stacked);
    else lineOf(drawn, line, reading, context, marks, type === "area", stacked);
  }
  const scale = bars || stacked || type === "area" ? null : cutAxis(lines);
  if (scale !== null) notes.push(`The axis begins at ${said(scale, reading.unit, of)}, not at 0.`);
  if (lines.some((line) => line.complete.some((complete, place) => !complete && line.values[place] !== null)))
    notes.push(bars ? "Periods with a dashed edge are not complete." : "Dashed: periods that are not complete.");
  if (lines.some((line) => line.before))
    notes.push(bars ? "Lighter: the period before." : "Dashed and lighter: the period before.");
  if (reading.adds === "people" && stacked) notes.push("A person may be in several of these, so they need not add up.");
  const room = direct ? Math.min(Math.max(...lines.map((line) => widthOf(line.name)), 0) + 12, context.width * 0.3) : 8;
  if (direct && lines.length > 1) drawn.push(ends(lines, room));
  const flags = annotationLines(reading, context);
  if (flags && drawn[0]) drawn[0] = { ...drawn[0], markLine: flags } as AnySeries;
  const top = (withLegend ? 28 : 8) + (flags ? 16 : 0);
  const { ticks, label } = labelled(reading, context.width - room - 48);
  const option: EChartsOption = {
    ...framed(context),
    ...(withLegend
      ? {
          legend: legend(
            context,
            lines.map(({ name, colour }) => ({ name, colour })),
          ),
        }
      : {}),
    grid: {
      top,
      left: 4,
      right: room,
      bottom: reading.axisName && !options.compact ? 20 : 4,
      outerBoundsMode: "same",
      outerBoundsContain: "axisLabel",
    },
    xAxis: {
      type: "category",
      data: reading.keys,
      boundaryGap: true,
      axisLine: { lineStyle: { color: palette.line } },
      axisTick: { show: false },
      axisLabel: {
        ...axisText(palette),
        interval: (place: number) => ticks.has(place),
        formatter: (_: string, place: number) => label(place),
        hideOverlap: true,
      },
      splitArea: weekends(reading, palette),
      ...(reading.axisName && !options.compact
        ? { name: reading.axisName, nameLocation: "middle" as const, nameGap: 28, nameTextStyle: axisText(palette) }
        : {}),
    },
    yAxis: {
      type: "value",
      splitNumber: options.compact ? 3 : 4,
      axisLabel: { ...axisText(palette), formatter: (value: number) => said(value, reading.unit, of) },
      splitLine: { lineStyle: { color: palette.line } },
      ...(scale === null ? {} : { min: scale }),
      ...(reading.unit === "count" ? { minInterval: 1 } : {}),
    },
    series: drawn,
  };
  const axisTooltip = {
    trigger: "axis" as const,
    axisPointer: bars
      ? { type: "shadow" as const, shadowStyle: { color: faded(palette.faint, 0.1) } }
      : { type: "line" as const, lineStyle: { color: palette.faint, width: 1 } },
    formatter: (found: unknown) => tooltipAt(reading, lines, placeOf(found), context, stacked),
  };
  option.tooltip = { ...(option.tooltip as object), ...axisTooltip };
  return { option, marks: marks.all, notes, height: options.compact ? 120 : 240, series: names };
}

function lineOf(
  drawn: AnySeries[],
  line: Coloured,
  reading: Series,
  context: Context,
  marks: Marks,
  area: boolean,
  stacked: boolean,
): void {
  const values = line.values;
  const few = values.length <= 31;
  const shape = (data: NonNullable<LineSeriesOption["data"]>, alone: (place: number) => boolean): LineSeriesOption => ({
    type: "line",
    name: line.name,
    data,
    connectNulls: false,
    showSymbol: true,
    showAllSymbol: true,
    symbol: "circle",
    symbolSize: (_: unknown, { dataIndex }: { dataIndex: number }) => (few ? 5 : alone(dataIndex) ? 5 : 0),
    itemStyle: { color: line.colour },
    lineStyle: { color: line.colour, width: 2 },
    emphasis: { disabled: true },
    ...(area ? { areaStyle: { color: line.colour, opacity: stacked ? 0.55 : 0.12 } } : {}),
    ...(stacked ? { stack: "all" } : {}),
  });
  const open = (place: number) => values[place] !== null && line.complete[place] === false;
  const item = (place: number, series: number) => {
    const value = values[place] ?? null;
    if (value === null) return { value: "-" as const };
    const mark = marks.add({
      series,
      data: place,
      name: line.name,
      place: spoken(reading, place),
      value,
      unit: line.unit,
      row: line.rows[place] ?? null,
      ...(open(place) ? { more: "not complete" } : {}),
    });
    return { value, mark };
  };
  const lonely = (there: (place: number) => boolean) => (place: number) =>
    there(place) && !there(place - 1) && !there(place + 1);
  const main = drawn.length;
  if (stacked || !values.some((_, place) => open(place))) {
    drawn.push(
      shape(
        values.map((_, place) => item(place, main)),
        lonely((place) => (values[place] ?? null) !== null),
      ),
    );
  } else {
    const solid = (place: number) => (values[place] ?? null) !== null && !open(place);
    drawn.push(
      shape(
        values.map((_, place) => (solid(place) ? item(place, main) : { value: "-" as const })),
        lonely(solid),
      ),
    );
    const near = (place: number) => open(place) || (solid(place) && (open(place - 1) || open(place + 1)));
    const dashed = shape(
      values.map((value, place) =>
        open(place) ? item(place, main + 1) : { value: near(place) ? value : "-" },
      ) as NonNullable<LineSeriesOption["data"]>,
      () => false,
    );
    const growing = { color: context.palette.surface, borderColor: line.colour, borderWidth: 1.5 };
    drawn.push({
      ...dashed,
      lineStyle: { color: line.colour, width: 2, type: [3, 3] },
      itemStyle: growing,
      symbolSize: (_: unknown, { dataIndex }: { dataIndex: number }) => (open(dataIndex) ? 5 : 0),
      ...(area ? { areaStyle: { color: line.colour, opacity: 0.05 } } : {}),
    });
  }
  if (!line.before || stacked) return;
  const before: LineSeriesOption = shape(
    line.before.map((value) => value ?? "-"),
    () => false,
  );
  const { areaStyle: _area, ...plain } = before;
  drawn.push({
    ...plain,
    silent: true,
    symbolSize: 0,
    z: 1,
    lineStyle: { color: line.colour, width: 1.5, type: [5, 4], opacity: 0.5 },
  });
}

function barOf(
  drawn: AnySeries[],
  line: Coloured,
  reading: Series,
  context: Context,
  marks: Marks,
  stacked: boolean,
): void {
  const base: BarSeriesOption = {
    type: "bar",
    name: line.name,
    barMaxWidth: 48,
    emphasis: { disabled: true },
    itemStyle: { color: line.colour },
  };
  if (line.before && !stacked) {
    const edge = {
      color: faded(line.colour, 0.22),
      borderColor: line.colour,
      borderType: "dashed" as const,
      borderWidth: 1,
    };
    drawn.push({
      ...base,
      silent: true,
      data: line.before.map((value) => value ?? "-"),
      itemStyle: { ...edge, opacity: 0.6 },
    });
  }
  const main = drawn.length;
  const data = line.values.map((value, place) => {
    if (value === null) return { value: "-" as const };
    const open = line.complete[place] === false;
    const mark = marks.add({
      series: main,
      data: place,
      name: line.name,
      place: spoken(reading, place),
      value,
      unit: line.unit,
      row: line.rows[place] ?? null,
      ...(open ? { more: "not complete" } : {}),
    });
    const growing = {
      color: faded(line.colour, 0.45),
      borderColor: line.colour,
      borderType: "dashed" as const,
      borderWidth: 1.5,
    };
    return { value, mark, ...(open ? { itemStyle: growing } : {}) };
  });
  const gap = context.palette.surface;
  drawn.push({
    ...base,
    data,
    ...(stacked ? { stack: "all", itemStyle: { color: line.colour, borderColor: gap, borderWidth: 0.5 } } : {}),
  });
}

/** Dots with names where lines end. */
function ends(lines: Coloured[], room: number): ScatterSeriesOption {
  const data = lines.flatMap((line) => {
    const place = line.values.findLastIndex((value) => value !== null);
    if (place < 0) return [];
    const label = { show: true, formatter: () => cut(line.name, room - 10), color: line.colour };
    return [{ value: [place, line.values[place] ?? 0], itemStyle: { color: line.colour }, label }];
  });
  return {
    type: "scatter",
    name: "",
    silent: true,
    symbolSize: 6,
    z: 5,
    clip: false,
    data,
    label: { show: true, position: "right", distance: 6, fontWeight: 600, fontSize: 12 },
    labelLayout: { moveOverlap: "shiftY" },
    tooltip: { show: false },
  };
}

/** Where a line chart's axis begins, if not at zero: only where all that moves would else be a flat line. */
function cutAxis(lines: Coloured[]): number | null {
  const found = extent(lines.flatMap((line) => [...line.values, ...(line.before ?? [])]));
  if (!found) return null;
  const [least, greatest] = found;
  if (least <= 0 || least === greatest || (greatest - least) / greatest > 0.25) return null;
  const step = 10 ** Math.floor(Math.log10(greatest - least));
  const start = Math.floor((least - (greatest - least) * 0.25) / step) * step;
  return start <= 0 ? null : Number(start.toPrecision(12));
}

function placeOf(found: unknown): number {
  const first = (Array.isArray(found) ? found[0] : found) as { dataIndex?: number } | undefined;
  return first?.dataIndex ?? 0;
}

function tooltipAt(reading: Series, lines: Coloured[], place: number, context: Context, stacked: boolean): string {
  const total = lines.reduce((sum, line) => sum + Math.abs(line.values[place] ?? 0), 0);
  const shares = lines.length > 1 && reading.adds === "yes" && total > 0;
  const shown = lines.map((line): TooltipLine => {
    const value = line.values[place] ?? null;
    const share = shares && value !== null ? Math.abs(value) / total : null;
    return {
      name: line.name || reading.valueName,
      value,
      unit: line.unit,
      colour: line.colour,
      before: line.before?.[place] ?? null,
      share,
    };
  });
  const ordered = stacked
    ? [...shown].reverse()
    : [...shown].sort(
        (one, other) => (other.value ?? Number.NEGATIVE_INFINITY) - (one.value ?? Number.NEGATIVE_INFINITY),
      );
  const open = lines.some((line) => line.complete[place] === false);
  const flags = (context.options.annotations ?? []).filter(
    (one) => placeAt(reading, one.at, context.options.zone) === place,
  );
  return tooltip(spoken(reading, place), ordered, context.of, [
    ...(open ? ["Not complete yet"] : []),
    ...flags.map((one) => `⚑ ${one.text}`),
  ]);
}
