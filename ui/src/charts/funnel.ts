/** A funnel as lying bars: counts, rates of the step and of the whole, who dropped off, and how long it took. */

import type { CustomSeriesOption, EChartsOption } from "echarts";
import { duration, percent } from "../format";
import { type Context, cut, type Drawing, framed, legend, Marks, MOST_SERIES } from "./drawing";
import { colourOf, faded } from "./palette";
import type { Step, Steps } from "./readings";
import { tooltip } from "./tooltip";
import { said, saidInFull } from "./units";

const BAR = 24;
const HEAD = 20;
const GAP = 28;

interface Placed {
  step: Step;
  group: string;
  colour: string;
  top: number;
  /** Head of its step: the first group of it. */
  first: boolean;
  /** Share of the bars' full width. */
  share: number;
  mark: number;
  previous: Step | null;
}

export function funnel(reading: Steps, context: Context): Drawing {
  const { palette, options } = context;
  const hidden = new Set(options.hidden ?? []);
  const groups = reading.groups.map((group, place) => ({
    ...group,
    colour: colourOf(palette, place, group.name === "Other"),
  }));
  const shown = groups.slice(0, MOST_SERIES + 1).filter((group) => !hidden.has(group.name));
  const notes =
    groups.length > MOST_SERIES + 1 ? [`${groups.length - MOST_SERIES - 1} further values are in the table.`] : [];
  const several = groups.length > 1;
  if (several) notes.push("Bars of a value begin at 100 %: each is measured by its own first step.");
  const marks = new Marks("");
  const { placed, height } = laidOut(shown, several, marks, reading.counted);
  const top = several ? 32 : 4;
  const room = { left: 4, right: context.width < 480 ? 108 : 128 };
  const drawn: CustomSeriesOption = {
    type: "custom",
    coordinateSystem: "none",
    clip: false,
    data: placed.map((one) => ({ value: one.step.count, mark: one.mark })),
    renderItem: (_params, api) => {
      const one = placed[_params.dataIndex];
      return one ? (bar(one, context, { width: api.getWidth(), top, ...room }, several) as never) : (null as never);
    },
  };
  const option: EChartsOption = {
    ...framed(context),
    ...(several ? { legend: legend(context, shown) } : {}),
    series: [
      drawn,
      ...(several ? shown.map(({ name, colour }) => ({ ...LEGEND_ONLY, name, itemStyle: { color: colour } })) : []),
    ],
  };
  option.tooltip = {
    ...(option.tooltip as object),
    trigger: "item",
    formatter: (found: unknown) => told(placed[(found as { dataIndex?: number }).dataIndex ?? 0], reading.counted),
  };
  return {
    option,
    marks: marks.all,
    notes,
    height: top + height + 4,
    series: several ? reading.groups.map((group) => group.name) : [],
  };
}

/** A series that is drawn nowhere, for its name in the legend. */
const LEGEND_ONLY = {
  type: "custom" as const,
  coordinateSystem: "none" as const,
  data: [],
  renderItem: () => null as never,
};

function laidOut(
  groups: (Steps["groups"][number] & { colour: string })[],
  several: boolean,
  marks: Marks,
  counted: string,
) {
  const placed: Placed[] = [];
  const steps = Math.max(...groups.map((group) => group.steps.length), 0);
  let top = 0;
  for (let place = 0; place < steps; place += 1) {
    top += HEAD;
    groups.forEach((group, index) => {
      const step = group.steps[place];
      if (!step) return;
      const whole = group.steps[0]?.count ?? 0;
      const previous = place > 0 ? (group.steps[place - 1] ?? null) : null;
      const more = `${counted}, ${percent(step.fromFirst)} of the first step${previous ? `, ${percent(step.fromPrevious)} of the step before` : ""}`;
      const mark = marks.add({
        series: 0,
        data: placed.length,
        name: group.name,
        place: step.name,
        value: step.count,
        unit: "count",
        row: step.row,
        more,
      });
      placed.push({
        step,
        group: group.name,
        colour: group.colour,
        top,
        first: index === 0,
        share: whole ? step.count / whole : 0,
        mark,
        previous,
      });
      top += BAR + (several ? 2 : 0);
    });
    top += place < steps - 1 ? (several ? 14 : GAP) : 0;
  }
  return { placed, height: top };
}

function bar(
  one: Placed,
  context: Context,
  at: { width: number; top: number; left: number; right: number },
  several: boolean,
) {
  const { palette } = context;
  const full = Math.max(at.width - at.left - at.right, 40);
  const y = at.top + one.top;
  const text = (words: string, x: number, down: number, style: object = {}) => ({
    type: "text",
    silent: true,
    style: {
      text: words,
      x,
      y: down,
      fill: palette.faint,
      font: `12px ${palette.font}`,
      textVerticalAlign: "middle",
      ...style,
    },
  });
  const children: object[] = [
    {
      type: "rect",
      shape: { x: at.left, y, width: full, height: BAR, r: 3 },
      style: { fill: faded(one.colour, 0.12) },
    },
    {
      type: "rect",
      shape: { x: at.left, y, width: Math.max(full * one.share, one.step.count > 0 ? 2 : 0), height: BAR, r: 3 },
      style: { fill: one.colour },
    },
    text(said(one.step.count, "count"), at.left + full + 8, y + BAR / 2, {
      fill: palette.ink,
      font: `600 12px ${palette.font}`,
    }),
    text(percent(one.step.fromFirst), at.left + full + at.right - 8, y + BAR / 2, { textAlign: "right" }),
  ];
  if (one.first) {
    const head = cut(`${one.step.row.step ?? ""}. ${one.step.name}`.replace(/^\. /, ""), full);
    children.push(text(head, at.left, y - HEAD / 2, { fill: palette.ink, font: `600 12px ${palette.font}` }));
  }
  if (!several && one.previous) {
    const lost = one.previous.count - one.step.count;
    const parts = [
      `↓ ${percent(one.step.fromPrevious)} went on`,
      `${said(lost, "count")} dropped off (${percent(one.previous.count ? lost / one.previous.count : null)})`,
    ];
    if (one.step.median !== null) parts.push(`median ${duration(one.step.median)}`);
    children.push(text(cut(parts.join(" · "), at.width - at.left - 8), at.left, y - HEAD - GAP / 2));
  }
  return { type: "group", children };
}

function told(one: Placed | undefined, counted: string): string {
  if (!one) return "";
  const lines = [
    { name: counted.charAt(0).toUpperCase() + counted.slice(1), value: one.step.count, unit: "count" as const },
  ];
  const rates: { name: string; value: number | null; unit: "share" }[] = [
    { name: "Of the first step", value: one.step.fromFirst, unit: "share" },
  ];
  const times: { name: string; value: number | null; unit: "seconds" }[] = [];
  const foot: string[] = [];
  if (one.previous) {
    rates.push({ name: "Of the step before", value: one.step.fromPrevious, unit: "share" });
    times.push(
      { name: "Median time since", value: one.step.median, unit: "seconds" },
      { name: "Mean time since", value: one.step.average, unit: "seconds" },
    );
    foot.push(`${saidInFull(one.previous.count - one.step.count, "count")} dropped off before`);
  }
  return tooltip([one.group, one.step.name].filter(Boolean).join(" · "), [...lines, ...rates, ...times], "", foot);
}
