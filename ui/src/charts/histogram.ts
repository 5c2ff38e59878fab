/** How amounts spread: bars between bounds, of the height of their counts, with the median marked. */

import type { EChartsOption } from "echarts";
import { percent } from "../format";
import { axisText, type Context, type Drawing, framed, legend, Marks, MOST_SERIES, widthOf } from "./drawing";
import { colourOf } from "./palette";
import type { Bins } from "./readings";
import { tooltip } from "./tooltip";
import { said, saidInFull, type Unit } from "./units";

type Bin = Bins["groups"][number]["bins"][number];

export function histogram(reading: Bins, context: Context): Drawing {
  const { palette, options, of } = context;
  const hidden = new Set(options.hidden ?? []);
  const groups = reading.groups
    .map((group, place) => ({ ...group, colour: colourOf(palette, place, group.name === "Other") }))
    .slice(0, MOST_SERIES + 1);
  const shown = groups.filter((group) => !hidden.has(group.name));
  const several = groups.length > 1;
  const keys = [
    ...new Map(reading.groups.flatMap((group) => group.bins).map((bin) => [keyOf(bin), bin])).entries(),
  ].sort(([, one], [, other]) => (one.from ?? Number.NEGATIVE_INFINITY) - (other.from ?? Number.NEGATIVE_INFINITY));
  const whole =
    reading.unit === "count" &&
    keys.every(([, bin]) => bin.to !== null && bin.from !== null && bin.to - bin.from === 1);
  const labels = keys.map(([, bin]) => (whole ? said(bin.from, "count") : spanOf(bin, reading.unit, of)));
  const wide = (context.width - 56) / Math.max(keys.length, 1);
  const spans = keys.map(([, bin]) => `${said(bin.from, reading.unit, of)} – ${said(bin.to, reading.unit, of)}`);
  const fit = Math.max(...spans.map(widthOf)) + 10 <= wide;
  const axis = keys.map(([, bin], place) => {
    if (whole) return labels[place] ?? "";
    if (bin.from === null) return `< ${said(bin.to, reading.unit, of)}`;
    return bin.to !== null && fit ? (spans[place] ?? "") : `≥ ${said(bin.from, reading.unit, of)}`;
  });
  const marks = new Marks("");
  const notes: string[] =
    reading.groups.length > groups.length
      ? [`${reading.groups.length - groups.length} further values are in the table.`]
      : [];
  const [only] = shown;
  if (shown.length === 1 && only?.median !== null && only?.median !== undefined) {
    notes.push(
      `Median ${saidInFull(only.median, reading.unit, of)}${only.average === null ? "" : `, mean ${saidInFull(Number(only.average.toPrecision(3)), reading.unit, of)}`}.`,
    );
  }
  const every = Math.max(1, Math.ceil((Math.max(...axis.map(widthOf), 8) + 10) / wide));
  const option: EChartsOption = {
    ...framed(context),
    ...(several ? { legend: legend(context, shown) } : {}),
    grid: {
      top: several ? 32 : 12,
      left: 4,
      right: 12,
      bottom: options.compact ? 4 : 24,
      outerBoundsMode: "same",
      outerBoundsContain: "axisLabel",
    },
    xAxis: {
      type: "category",
      data: keys.map(([key]) => key),
      axisLine: { lineStyle: { color: palette.line } },
      axisTick: { show: false },
      axisLabel: {
        ...axisText(palette),
        interval: (place: number) => place % every === 0,
        formatter: (_: string, place: number) => axis[place] ?? "",
      },
      ...(options.compact
        ? {}
        : { name: reading.axisName, nameLocation: "middle" as const, nameGap: 28, nameTextStyle: axisText(palette) }),
    },
    yAxis: {
      type: "value",
      minInterval: 1,
      splitNumber: options.compact ? 3 : 4,
      axisLabel: { ...axisText(palette), formatter: (value: number) => said(value, "count") },
      splitLine: { lineStyle: { color: palette.line } },
    },
    series: shown.map((group, series) => ({
      type: "bar" as const,
      name: group.name,
      barCategoryGap: several ? "20%" : "4%",
      barGap: "0%",
      emphasis: { disabled: true },
      itemStyle: { color: group.colour },
      data: keys.map(([key], data) => {
        const bin = group.bins.find((one) => keyOf(one) === key);
        if (!bin) return { value: "-" as const };
        const place = spanOf(bin, reading.unit, of);
        const more = `${reading.counted}${bin.rate === null ? "" : `, ${percent(bin.rate)}`}`;
        return {
          value: bin.count,
          mark: marks.add({
            series,
            data,
            name: group.name,
            place,
            value: bin.count,
            unit: "count",
            row: bin.row,
            more,
          }),
        };
      }),
    })),
  };
  option.tooltip = {
    ...(option.tooltip as object),
    trigger: "axis",
    axisPointer: { type: "shadow" },
    formatter: (found: unknown) => {
      const at = ((Array.isArray(found) ? found[0] : found) as { dataIndex?: number } | undefined)?.dataIndex ?? 0;
      const counted = reading.counted.charAt(0).toUpperCase() + reading.counted.slice(1);
      const lines = shown.map((group) => {
        const bin = group.bins.find((one) => keyOf(one) === keys[at]?.[0]);
        return {
          name: group.name || counted,
          value: bin?.count ?? null,
          unit: "count" as const,
          colour: group.colour,
          share: bin?.rate ?? null,
        };
      });
      return tooltip(labels[at] ?? "", lines);
    },
  };
  return {
    option,
    marks: marks.all,
    notes,
    height: options.compact ? 120 : 240,
    series: several ? reading.groups.map((group) => group.name) : [],
  };
}

const keyOf = (bin: Bin) => `${bin.from ?? ""}:${bin.to ?? ""}`;

/** "10 m to less than 25 m". */
function spanOf(bin: Bin, unit: Unit, of: string): string {
  const [from, to] = [saidInFull(bin.from, unit, of), saidInFull(bin.to, unit, of)];
  if (bin.from === null) return `Less than ${to}`;
  if (bin.to === null) return `${from} or more`;
  return unit === "count" && bin.to - bin.from === 1 ? from : `${from} to less than ${to}`;
}
