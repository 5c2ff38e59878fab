/** Counts by country on a map of the world, with a ranked list beside it where there is room. */

import type { EChartsOption } from "echarts";
import { countryName, outlineOf } from "./countries";
import { axisText, type Context, cut, type Drawing, framed, Marks } from "./drawing";
import type { Series } from "./readings";
import { tooltip } from "./tooltip";
import { said } from "./units";

const LISTED = 10;
/** The name under which ECharts knows the outlines (echarts.ts loads them). */
export const WORLD = "world";

export function map(reading: Series, context: Context): Drawing {
  const { palette, of, options } = context;
  const line = reading.lines[0];
  const unit = line?.unit ?? "count";
  const marks = new Marks(of);
  const all = reading.keys.map((_, place) => {
    const code = String(line?.rows[place]?.[codeColumn(line.rows)] ?? "");
    return {
      code,
      outline: outlineOf(code),
      name: code ? countryName(code) : (reading.labels[place] ?? ""),
      value: line?.values[place] ?? 0,
      row: line?.rows[place] ?? null,
    };
  });
  const drawn = all.filter((one) => one.outline !== null);
  const total = all.reduce((sum, one) => sum + one.value, 0);
  const greatest = Math.max(...drawn.map((one) => one.value), 1);
  const wide = context.width >= 640 && !options.compact;
  const listed = wide ? [...all].sort((one, other) => other.value - one.value).slice(0, LISTED) : [];
  const share = (value: number) => (total > 0 && reading.adds !== "no" ? value / total : null);
  const place = (one: (typeof all)[number], series: number, data: number) =>
    marks.add({ series, data, name: "", place: one.name, value: one.value, unit, row: one.row });
  const notes: string[] = [];
  const off = all.filter((one) => one.outline === null && one.code);
  if (off.length)
    notes.push(
      `Too small for this map: ${off
        .slice(0, 5)
        .map((one) => one.name)
        .join(", ")}${off.length > 5 ? ` and ${off.length - 5} more` : ""}.`,
    );
  const unknown = all.find((one) => !one.code);
  if (unknown?.value) notes.push(`Of no known country: ${said(unknown.value, unit, of)}.`);
  const option: EChartsOption = {
    ...framed(context),
    visualMap: {
      type: "continuous",
      min: 0,
      max: greatest,
      seriesIndex: 0,
      show: !options.compact,
      left: 4,
      bottom: 4,
      itemHeight: 72,
      itemWidth: 8,
      calculable: false,
      hoverLink: false,
      inRange: { color: palette.ramp },
      text: [said(greatest, unit, of), "0"],
      textStyle: axisText(palette),
    },
    ...(wide ? rankedAxes(listed, context) : {}),
    series: [
      {
        type: "map",
        map: WORLD,
        nameProperty: "code",
        roam: false,
        left: 4,
        right: wide ? "36%" : 4,
        top: 4,
        bottom: 4,
        selectedMode: false,
        label: { show: false },
        itemStyle: { areaColor: palette.dark ? "#222932" : "#eef0f3", borderColor: palette.surface, borderWidth: 0.5 },
        emphasis: { label: { show: false }, itemStyle: { borderColor: palette.ink, borderWidth: 1 } },
        data: drawn.map((one, data) => ({ name: one.outline ?? "", value: one.value, mark: place(one, 0, data) })),
      },
      ...(wide
        ? [
            {
              type: "bar" as const,
              barWidth: 14,
              emphasis: { disabled: true },
              itemStyle: { color: palette.series[0] ?? "", borderRadius: 2 },
              label: {
                show: true,
                position: "right" as const,
                color: palette.ink,
                formatter: ({ value }: { value?: unknown }) => said(Number(value), unit, of),
              },
              data: listed.map((one, data) => ({ value: one.value, mark: place(one, 1, data) })),
            },
          ]
        : []),
    ],
  };
  option.tooltip = {
    ...(option.tooltip as object),
    trigger: "item",
    formatter: (found: unknown) => {
      const { seriesIndex, dataIndex, name } = found as { seriesIndex?: number; dataIndex?: number; name?: string };
      const one = seriesIndex === 1 ? listed[dataIndex ?? -1] : drawn.find((country) => country.outline === name);
      return one
        ? tooltip(one.name, [{ name: reading.valueName, value: one.value, unit, share: share(one.value) }], of)
        : "";
    },
  };
  return { option, marks: marks.all, notes, height: options.compact ? 200 : 320, series: [], needsWorld: true };
}

/** The column that holds the codes. */
function codeColumn(rows: Series["lines"][number]["rows"]): string {
  const row = rows.find((one) => one !== null) ?? {};
  return Object.keys(row).find((column) => column === "breakdown" || /country/.test(column)) ?? "";
}

function rankedAxes(listed: { name: string }[], context: Context): EChartsOption {
  const { palette } = context;
  const names = context.width * 0.14;
  return {
    grid: {
      left: context.width * 0.66 + names,
      right: 64,
      top: 12,
      height: listed.length * 26,
      outerBoundsMode: "none",
    },
    xAxis: { type: "value", min: 0, show: false },
    yAxis: {
      type: "category",
      inverse: true,
      data: listed.map((one) => one.name),
      axisLine: { show: false },
      axisTick: { show: false },
      axisLabel: {
        ...axisText(palette),
        color: palette.ink,
        interval: 0,
        formatter: (name: string) => cut(name, names - 8),
      },
    },
  };
}
