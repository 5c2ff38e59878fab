/** Lines, areas and upright bars over time, or over first, second, third. */

import type { EChartsOption } from "echarts";
import {
  axisText,
  type Context,
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
import type { Series } from "./readings";
import { annotationLines, labelled, placeAt, spoken, weekends } from "./time-axis";
import { type TooltipLine, tooltip } from "./tooltip";
import { said, secondsStep } from "./units";
import { type AnySeries, barOf, type Coloured, ends, lineOf } from "./upright-series";

export type Upright = "line" | "area" | "bar" | "stacked";

export function upright(reading: Series, context: Context, type: Upright): Drawing {
  const { palette, options, of } = context;
  const { lines, notes, names } = shownLines(reading, context);
  const stacked = type === "stacked" || (type === "area" && lines.length > 1 && reading.adds !== "no");
  const bars = type === "bar" || type === "stacked";
  const direct = !bars && !stacked && lines.length > 1 && lines.length <= MOST_DIRECT && !options.compact;
  const withLegend = !direct && lines.length > 1;
  const marks = new Marks(of);
  const drawn: AnySeries[] = [];
  for (const line of lines) {
    if (bars) barOf(drawn, line, reading, context, marks, stacked);
    else lineOf(drawn, line, reading, context, marks, type === "area", stacked);
  }
  const scale = bars || stacked || type === "area" ? null : cutAxis(lines);
  if (scale !== null) notes.push(`The axis begins at ${said(scale, reading.unit, of)}, not at 0.`);
  const open = reading.keys.findIndex((_, place) =>
    lines.some((line) => line.complete[place] === false && line.values[place] !== null),
  );
  if (open >= 0) {
    const drawnSo = bars ? "Periods with a dashed edge are not complete." : "Dashed: periods that are not complete.";
    notes.push(stacked && !bars ? `Not complete: ${spoken(reading, open)}.` : drawnSo);
  }
  if (lines.some((line) => line.before))
    notes.push(bars ? "Lighter: the period before." : "Dashed and lighter: the period before.");
  if (reading.adds === "people" && stacked) notes.push("A person may be in several of these, so they need not add up.");
  const room = direct ? Math.min(Math.max(...lines.map((line) => widthOf(line.name)), 0) + 12, context.width * 0.3) : 8;
  if (direct) drawn.push(ends(lines, room, palette.ink));
  const flags = annotationLines(reading, context);
  if (flags && drawn[0]) drawn[0] = { ...drawn[0], markLine: flags } as AnySeries;
  const top = (withLegend ? 28 : 8) + (flags ? 16 : 0) + (of ? 12 : 0);
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
      bottom: reading.axisName && !options.compact ? 26 : 4,
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
      axisLabel: { ...axisText(palette), formatter: (value: number) => said(value, reading.unit) },
      splitLine: { lineStyle: { color: palette.line } },
      ...(scale === null ? {} : { min: scale }),
      ...(reading.unit === "share" && fills(lines, stacked) ? { max: 1 } : {}),
      ...(of
        ? {
            name: of,
            nameLocation: "end" as const,
            nameGap: 8,
            nameTextStyle: { ...axisText(palette), align: "right" as const },
          }
        : {}),
      ...(reading.unit === "count" ? { minInterval: 1 } : {}),
      ...(reading.unit === "seconds" ? secondsAxis(lines.flatMap((line) => line.values)) : {}),
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

/** Whether shares come near to all, so that the axis had better end there. */
function fills(lines: Coloured[], stacked: boolean): boolean {
  const greatest = extent(lines.flatMap((line) => [...line.values, ...(line.before ?? [])]))?.[1] ?? 0;
  return !stacked && greatest > 0.75 && greatest <= 1;
}

/** Ticks at whole minutes, hours or days. */
function secondsAxis(values: (number | null)[]): { interval: number } | object {
  const step = secondsStep(extent(values)?.[1] ?? 0, 4);
  return step ? { interval: step } : {};
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
