/** Ways from left to right: nodes by their place on the way, the widest on top; hovering lights one way up. */

import type { EChartsOption } from "echarts";
import { duration } from "../format";
import { type Context, cut, type Drawing, framed, Marks } from "./drawing";
import { colourOf, faded } from "./palette";
import { type Flow, type Flows, OTHER } from "./readings";
import { tooltip } from "./tooltip";
import { said } from "./units";

/** More flows than these from one place to the next cannot be told apart; the rest is one. */
const MOST_A_PLACE = 14;

const idOf = (node: { place: number; name: string }) => `${node.place}\u0000${node.name}`;

export function sankey(reading: Flows, context: Context): Drawing {
  const { palette } = context;
  const { flows, folded } = fewer(reading.flows, context.options.compact ? 8 : MOST_A_PLACE);
  const marks = new Marks("");
  const nodes = new Map<string, { place: number; name: string; value: number }>();
  const sums = (side: "from" | "to") => {
    const found = new Map<string, number>();
    for (const flow of flows) found.set(idOf(flow[side]), (found.get(idOf(flow[side])) ?? 0) + flow.value);
    return found;
  };
  const [out, into] = [sums("from"), sums("to")];
  for (const flow of flows) {
    for (const node of [flow.from, flow.to]) {
      const id = idOf(node);
      if (!nodes.has(id)) nodes.set(id, { ...node, value: Math.max(out.get(id) ?? 0, into.get(id) ?? 0) });
    }
  }
  const names = [
    ...new Set([...nodes.values()].sort((one, other) => other.value - one.value).map((node) => node.name)),
  ];
  const places = [...new Set([...nodes.values()].map((node) => node.place))].sort((one, other) => one - other);
  const first = places[0] ?? 0;
  const columns = places.length;
  const ordered = [...nodes.entries()].sort(([, one], [, other]) => one.place - other.place || other.value - one.value);
  const greatest = Math.max(...places.map((place) => ordered.filter(([, node]) => node.place === place).length), 1);
  const room = Math.max((context.width - 24) / Math.max(columns, 1) - 24, 40);
  const colour = (name: string) => colourOf(palette, names.indexOf(name), name === OTHER || name === "...");
  const option: EChartsOption = {
    ...framed(context),
    series: [
      {
        type: "sankey",
        left: 4,
        right: Math.min(room, 140),
        top: 8,
        bottom: 8,
        nodeWidth: 10,
        nodeGap: 12,
        nodeAlign: "left",
        draggable: false,
        layoutIterations: 0,
        emphasis: { focus: "trajectory", lineStyle: { opacity: 0.7 } },
        blur: { lineStyle: { opacity: 0.08 }, itemStyle: { opacity: 0.3 } },
        lineStyle: { color: "source", opacity: 0.28, curveness: 0.5 },
        label: {
          color: palette.ink,
          fontSize: 12,
          formatter: ({ data }: { data?: unknown }) => labelOf(data as { shown?: string; amount?: string } | undefined),
          rich: { faint: { color: palette.faint, fontSize: 12 } },
        },
        data: ordered.map(([id, node]) => ({
          name: id,
          depth: node.place - first,
          shown: cut(node.name, room - 44),
          amount: said(node.value, "count"),
          itemStyle: { color: colour(node.name), borderWidth: 0 },
        })),
        links: flows.map((flow, data) => ({
          source: idOf(flow.from),
          target: idOf(flow.to),
          value: flow.value,
          lineStyle: { color: faded(colour(flow.from.name), 1) },
          ...(flow.row
            ? {
                mark: marks.add({
                  series: 0,
                  data,
                  name: "",
                  place: `${flow.from.name} to ${flow.to.name}`,
                  value: flow.value,
                  unit: "count",
                  row: flow.row,
                  more: reading.counted,
                }),
              }
            : {}),
        })),
      },
    ],
  };
  option.tooltip = {
    ...(option.tooltip as object),
    trigger: "item",
    formatter: (found: unknown) => {
      const { dataType, dataIndex = 0 } = found as { dataType?: string; dataIndex?: number };
      const counted = reading.counted.charAt(0).toUpperCase() + reading.counted.slice(1);
      if (dataType === "edge") {
        const flow = flows[dataIndex];
        if (!flow) return "";
        const whole = out.get(idOf(flow.from)) ?? 0;
        const more = flow.seconds === null ? [] : [`Median time between: ${duration(flow.seconds)}`];
        return tooltip(
          `${flow.from.name} → ${flow.to.name}`,
          [{ name: counted, value: flow.value, unit: "count", share: whole ? flow.value / whole : null }],
          "",
          more,
        );
      }
      const node = ordered[dataIndex]?.[1];
      return node ? tooltip(node.name, [{ name: counted, value: node.value, unit: "count" }]) : "";
    },
  };
  const notes = folded ? [`The smallest ${folded} ways are “${OTHER}” here; the table has each of them.`] : [];
  return { option, marks: marks.all, notes, height: Math.max(200, Math.min(greatest * 34 + 16, 720)), series: [] };
}

function labelOf(data: { shown?: string; amount?: string } | undefined): string {
  return data ? `${data.shown ?? ""} {faint|${data.amount ?? ""}}` : "";
}

type Drawn = Omit<Flow, "row"> & { row: Flow["row"] | null };

/** The widest flows of each place; the rest goes from and to "Other". */
function fewer(flows: Flow[], most: number): { flows: Drawn[]; folded: number } {
  const kept: Drawn[] = [];
  let folded = 0;
  for (const place of new Set(flows.map((flow) => flow.from.place))) {
    const mine = flows.filter((flow) => flow.from.place === place).sort((one, other) => other.value - one.value);
    kept.push(...mine.slice(0, most));
    const rest = mine.slice(most);
    folded += rest.length;
    if (!rest.length) continue;
    const value = rest.reduce((sum, flow) => sum + flow.value, 0);
    const same = kept.find((flow) => flow.from.place === place && flow.from.name === OTHER && flow.to.name === OTHER);
    if (same) Object.assign(same, { value: same.value + value, row: null });
    else
      kept.push({
        from: { place, name: OTHER },
        to: { place: place + 1, name: OTHER },
        value,
        seconds: null,
        row: null,
      });
  }
  return { flows: kept, folded };
}
