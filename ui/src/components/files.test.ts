// @vitest-environment jsdom
import { expect, test, vi } from "vitest";
import { chartsOf } from "../charts";
import { example, WORKED, worked } from "../charts/testing/worked";
import { fileName, isPicture, svgFile } from "./files";

// Without a canvas texts are measured by their letters, as reports do it.
HTMLCanvasElement.prototype.getContext = () => null;
vi.setConfig({ testTimeout: 60_000 });

const parsed = (svg: string) => new DOMParser().parseFromString(svg, "image/svg+xml");

test("every chart is a well-formed picture with its title and where it comes from", async () => {
  const seen = new Set<string>();
  const cities = worked(
    "",
    { kind: "cities" },
    [1, 2, 3].map((size) => ({ city: `City ${size}`, people: size, spent: size * 2.5 })),
  );
  for (const { answer, question } of [...WORKED, cities]) {
    for (const type of chartsOf(answer, question)) {
      if (!isPicture(answer, question, { type }) || seen.has(type) || type === "map") continue;
      seen.add(type);
      const svg = parsed(await svgFile(answer, question, { type }, "dark", "UTC", "exact · 3 rows read"));
      expect(svg.querySelector("parsererror")?.textContent ?? "").toBe("");
      expect(svg.documentElement.textContent).toContain("exact · 3 rows read");
    }
  }
  expect([...seen].sort()).toEqual([
    "area",
    "bar",
    "box",
    "funnel",
    "histogram",
    "interval",
    "line",
    "pie",
    "retention",
    "sankey",
    "scatter",
    "stacked",
  ]);
});

test("names of events stay text in a picture", async () => {
  const { answer, question } = worked("", { kind: "trend", series: ["<b>&\"'"] }, [
    { series: "<b>&\"'", period: "2026-01-05", value: 1, previous: null, complete: true },
    { series: "<b>&\"'", period: "2026-01-06", value: 2, previous: null, complete: true },
  ]);
  const svg = parsed(await svgFile(answer, question, {}, "light", "UTC", ""));
  expect(svg.querySelector("parsererror")).toBeNull();
  expect(svg.querySelector("b")).toBeNull();
  expect(svg.documentElement.textContent).toContain("<b>&\"', by day");
});

test("tables and numbers are no pictures", () => {
  const { answer, question } = example("trend", "Visits a day");
  expect(isPicture(answer, question, { type: "table" })).toBe(false);
  expect(isPicture(answer, question, { type: "number" })).toBe(false);
  expect(isPicture(answer, question, {})).toBe(true);
});

test("a title is a file's name", () => {
  expect(fileName("People who signed up, by channel", "csv")).toBe("people-who-signed-up-by-channel.csv");
  expect(fileName("Übersicht: القناة / ../etc", "png")).toBe("übersicht-القناة-etc.png");
  expect(fileName("…", "svg")).toBe("answer.svg");
});
