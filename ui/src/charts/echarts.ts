/** ECharts with the parts that are needed and no other. Pages load this file when the first chart is drawn, reports when they draw. */

import { BarChart, CustomChart, LineChart, MapChart, PieChart, SankeyChart, ScatterChart } from "echarts/charts";
import {
  GraphicComponent,
  GridComponent,
  LegendScrollComponent,
  MarkLineComponent,
  TooltipComponent,
  VisualMapContinuousComponent,
} from "echarts/components";
import { init, registerMap, use } from "echarts/core";
import { LabelLayout } from "echarts/features";
import { CanvasRenderer, SVGRenderer } from "echarts/renderers";
import type { Geometry, Position } from "geojson";
import { feature } from "topojson-client";
import type { GeometryCollection, Topology } from "topojson-specification";
import { setOutlines } from "./countries";
import { WORLD } from "./map";
import type { ChartPlan } from "./types";

use([BarChart, CustomChart, LineChart, MapChart, PieChart, SankeyChart, ScatterChart]);
use([
  GraphicComponent,
  GridComponent,
  LegendScrollComponent,
  MarkLineComponent,
  TooltipComponent,
  VisualMapContinuousComponent,
]);
use([LabelLayout, CanvasRenderer, SVGRenderer]);

export { init };

type World = Topology<{ countries: GeometryCollection<{ name: string }> }>;

/** Makes the outlines of the countries known. `world`: countries-110m.json of world-atlas. Antarctica, which no visitor comes from, would
 * take a sixth of the map. */
export function registerWorld(world: World): void {
  const found = feature(world, world.objects.countries).features.filter(
    (one) => one.id !== undefined && one.id !== "010",
  );
  const features = found.map((one) => ({
    ...one,
    geometry: unbroken(one.geometry),
    properties: { name: String(one.id), code: String(one.id) },
  }));
  setOutlines(features.map((one) => one.properties.code));
  registerMap(WORLD, { type: "FeatureCollection", features } as never);
}

/** A country that lies across the 180th meridian, in one piece: on a flat map its edge would run all around the world. */
function unbroken(geometry: Geometry): Geometry {
  if (geometry.type === "Polygon") return { ...geometry, coordinates: geometry.coordinates.map(ring) };
  if (geometry.type === "MultiPolygon")
    return { ...geometry, coordinates: geometry.coordinates.map((one) => one.map(ring)) };
  return geometry;
}

function ring(points: Position[]): Position[] {
  const east = points.some(([x = 0]) => x > 90);
  return east && points.some(([x = 0]) => x < -90) ? points.map(([x = 0, y = 0]) => [x < 0 ? x + 360 : x, y]) : points;
}

/** A plan as SVG, without a browser. "" for what is no chart. */
export function svgOf(plan: ChartPlan, size: { width: number; height: number; ground: string }): string {
  if (!plan.option) return "";
  const chart = init(null, null, { renderer: "svg", ssr: true, width: size.width, height: size.height });
  chart.setOption({ ...plan.option, animation: false, backgroundColor: size.ground });
  const text = chart.renderToSVGString();
  chart.dispose();
  return text;
}
