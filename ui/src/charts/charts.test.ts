import { describe, expect, test, vi } from "vitest";
import type { Row } from "../api/types";
import { svgOf } from "./echarts";
import {
  type ChartOptions,
  type ChartPlan,
  type ChartType,
  chartsOf,
  conditionOf,
  hasPeople,
  measuresFor,
  neighbour,
  plan,
  rangeBehind,
  describe as words,
} from "./index";
import { example, WORKED, type Worked, worked } from "./testing/worked";

vi.setConfig({ testTimeout: 60_000 });

const OPTIONS: ChartOptions = { theme: "light", zone: "UTC", width: 640, compact: false };
const drawn = (one: Worked, more: Partial<ChartOptions> = {}) =>
  plan(one.answer, one.question, { ...OPTIONS, ...more });

const optionOf = <T>(made: ChartPlan, part: string) => (made.option as Record<string, unknown>)[part] as T;

describe("worked examples", () => {
  test("are there, of every kind", () => {
    expect(new Set(WORKED.map((one) => one.answer.kind)).size).toBeGreaterThanOrEqual(15);
    expect(WORKED.length).toBeGreaterThan(60);
  });

  test.each(WORKED.map((one) => [`${one.answer.kind}: ${one.title}`, one] as const))("%s", (_, one) => {
    const types = chartsOf(one.answer, one.question);
    expect(types.at(-1)).toBe("table");
    expect(words(one.answer, one.question)).not.toMatch(/undefined|\[object|NaN|null/);
    for (const type of types) {
      for (const compact of [false, true]) {
        const made = drawn(one, { type, compact, theme: compact ? "dark" : "light", width: compact ? 320 : 900 });
        expect(made.type).toBe(type);
        expect(made.summary + made.notes.join(" ")).not.toMatch(/undefined|\[object|NaN/);
        if (type === "table") continue;
        if (type === "number") {
          expect(made.numbers.length).toBeGreaterThan(0);
          continue;
        }
        for (const mark of made.marks) if (mark.row) expect(one.answer.rows).toContain(mark.row);
        if (made.needsWorld) continue; // its outlines are the browser's to load; registered below
        const svg = svgOf(made, { width: compact ? 320 : 900, height: Math.max(made.height, 120), ground: "#ffffff" });
        expect(svg).toMatch(/^<svg[\s\S]*<\/svg>$/);
        expect(svg).not.toMatch(/NaN|undefined/);
      }
    }
  });

  test("a bar's mark leads to its row, whatever the chart draws besides", () => {
    const one = example("trend", "People a week beside");
    for (const type of ["line", "bar", "area"] as ChartType[]) {
      const made = drawn(one, { type });
      const series = made.option?.series as { data: { mark?: number; value: unknown }[] }[];
      for (const mark of made.marks) {
        const item = series[mark.series]?.data[mark.data];
        expect(made.marks[item?.mark ?? -1]).toBe(mark);
        expect(item?.value).toBe(mark.row?.value);
      }
      expect(made.marks).toHaveLength(2);
    }
  });
});

describe("what fits", () => {
  const best = (kind: string, title: string) => {
    const { answer, question } = example(kind, title);
    return chartsOf(answer, question)[0];
  };
  test("each kind's own chart comes first", () => {
    expect(best("trend", "Visits a day")).toBe("line");
    expect(best("trend", "People on a world map")).toBe("map");
    expect(best("trend", "How often the middle person")).toBe("number");
    expect(best("funnel", "From signup to purchase")).toBe("funnel");
    expect(best("funnel", "How long an order takes")).toBe("histogram");
    expect(best("funnel", "What goes with paying")).toBe("interval");
    expect(best("retention", "Who comes back")).toBe("retention");
    expect(best("path", "What people do after")).toBe("sankey");
    expect(best("segment", "From plan to plan")).toBe("sankey");
    expect(best("adoption", "How long until")).toBe("box");
    expect(best("lifecycle", "Who makes up")).toBe("stacked");
    expect(best("quality", "Revenue that")).toBe("table");
  });

  const sql = (rows: Row[]) => {
    const { answer, question } = worked("", { kind: "something_new" }, rows);
    return chartsOf(answer, question);
  };
  test("a kind that nobody knows is drawn by its columns", () => {
    expect(
      sql([
        { day: "2026-01-05", people: 2 },
        { day: "2026-01-06", people: 3 },
      ])[0],
    ).toBe("line");
    expect(
      sql([
        { plan: "pro", people: 2 },
        { plan: "free", people: 3 },
      ])[0],
    ).toBe("bar");
    expect(sql([{ people: 2, mean: 3.5 }])[0]).toBe("number");
    expect(
      sql([
        { country: "DE", people: 2 },
        { country: "FR", people: 3 },
      ])[0],
    ).toBe("map");
    expect(
      sql([
        { from_page: "a", to_page: "b", people: 2 },
        { from_page: "b", to_page: "c", people: 3 },
      ])[0],
    ).toBe("sankey");
    expect(sql([{ plan: "pro", p25: 1, median: 2, p75: 3, max: 9 }])[0]).toBe("box");
    expect(sql([{ name: "ann" }, { name: "bob" }])).toEqual(["table"]);
    expect(sql([])).toEqual(["table"]);
  });
  test("two rows for one place are a table, not a wrong line", () => {
    const rows = [
      { day: "2026-01-05", people: 2 },
      { day: "2026-01-05", people: 3 },
      { day: "2026-01-06", people: 3 },
    ];
    expect(sql(rows)).not.toContain("line");
  });
  test("only what adds up is a pie", () => {
    const share = {
      kind: "trend",
      interval: "total",
      breakdown: ["plan"],
      series: [{ event: "order", measure: "average", property: "amount" }],
    };
    const rows = ["pro", "free"].map((plan_) => ({
      series: "order",
      breakdown: plan_,
      period: "2026-01-05",
      value: 3,
      previous: null,
      complete: true,
    }));
    const mean = worked("", share, rows);
    expect(chartsOf(mean.answer, mean.question)).not.toContain("pie");
    const count = worked("", { ...share, series: ["order"] }, rows);
    expect(chartsOf(count.answer, count.question)).toContain("pie");
  });
  test("measures are offered where there are several", () => {
    const { answer, question } = example("session", "Sessions by the channel");
    expect(measuresFor(answer, question).map((one) => one.name)).toEqual(["sessions", "people", "bounce_rate"]);
    const trend = example("trend", "Visits a day");
    expect(measuresFor(trend.answer, trend.question)).toEqual([]);
  });
});

describe("honest drawing", () => {
  const days = (values: (number | null)[], more: (place: number) => Row = () => ({})) =>
    values.map((value, place) => ({
      series: "visit",
      period: `2026-01-${String(place + 5).padStart(2, "0")}`,
      value,
      previous: null,
      complete: true,
      ...more(place),
    }));
  const lines = (made: ReturnType<typeof drawn>) =>
    made.option?.series as { data: { value: unknown }[]; lineStyle?: { type?: unknown } }[];

  test("a gap is a gap, zero is zero", () => {
    const made = drawn(worked("", { kind: "trend", series: ["visit"] }, days([1, null, 0, 4])), { type: "line" });
    expect(lines(made)[0]?.data.map((item) => item.value)).toEqual([1, "-", 0, 4]);
  });
  test("a period that is not over is dashed, and only it", () => {
    const rows = days([1, 2, 3], (place) => ({ complete: place < 2 }));
    const [solid, dashed] = lines(drawn(worked("", { kind: "trend", series: ["visit"] }, rows), { type: "line" }));
    expect(solid?.data.map((item) => item.value)).toEqual([1, 2, "-"]);
    expect(dashed?.data.map((item) => item.value)).toEqual(["-", 2, 3]);
    expect(dashed?.lineStyle?.type).toEqual([3, 3]);
  });
  test("bars begin at zero; a line's axis says where it begins", () => {
    const one = worked("", { kind: "trend", series: ["visit"] }, days([1000, 1010, 1020]));
    const line = drawn(one, { type: "line" });
    expect(optionOf<{ min?: number }>(line, "yAxis").min).toBeGreaterThan(900);
    expect(line.notes.join(" ")).toMatch(/axis begins at .*, not at 0/);
    const bar = drawn(one, { type: "bar" });
    expect(optionOf<{ min?: number }>(bar, "yAxis").min).toBeUndefined();
  });
  test("of ten series that add up seven are drawn, and the rest as Other; what does not add up is left out and said", () => {
    const names = Array.from({ length: 10 }, (_, place) => `channel ${place}`);
    const rows = names.flatMap((name, place) => days([10 - place, 20 - place], () => ({ breakdown: name })));
    const counted = drawn(worked("", { kind: "trend", series: ["visit"], breakdown: ["channel"] }, rows), {
      type: "line",
    });
    const other = counted.marks.filter((mark) => mark.name === "Other");
    expect(other.map((mark) => mark.value)).toEqual([3 + 2 + 1, 13 + 12 + 11]);
    expect(other.every((mark) => mark.row === null)).toBe(true);
    expect(new Set(counted.marks.map((mark) => mark.name)).size).toBe(8);
    const people = drawn(worked("", { kind: "trend", series: [{ measure: "unique" }], breakdown: ["channel"] }, rows), {
      type: "line",
    });
    expect(new Set(people.marks.map((mark) => mark.name)).size).toBe(7);
    expect(people.notes.join(" ")).toMatch(/3 further series are in the table/);
  });
  test("days of events add up to a number, days of people do not", () => {
    const rows = days([5, 7, 2], (place) => ({ complete: place < 2 }));
    const [events] = drawn(worked("", { kind: "trend", series: ["visit"] }, rows), { type: "number" }).numbers;
    expect(events).toMatchObject({ value: 14, growing: true, when: "" });
    const [people] = drawn(worked("", { kind: "trend", series: [{ measure: "unique" }] }, rows), {
      type: "number",
    }).numbers;
    expect(people).toMatchObject({
      value: 7,
      growing: false,
      when: "Tue, 6 Jan 2026",
      before: 5,
      direction: "up",
      noise: true,
    });
  });
  test("a target tells how far it is", () => {
    const [made] = drawn(example("trend", "How often the middle person"), { type: "number", target: 80 }).numbers;
    expect(made?.target?.share).toBeCloseTo(1 / 80);
  });
  test("a share of nobody is no share", () => {
    const made = drawn(example("funnel", "Conversion by the day"), { type: "line" });
    expect(made.marks.map((mark) => mark.value)).toEqual([0.5, 1]);
  });
  test("hidden series are not drawn, but stay known", () => {
    const made = drawn(example("trend", "Orders for each person"), { type: "line", hidden: ["order"] });
    expect(new Set(made.marks.map((mark) => mark.name))).toEqual(new Set(["orders a visitor"]));
    expect(made.series).toEqual(["order", "orders a visitor"]);
  });
  test("the mean of cohorts is weighted by their size and leaves out what is not complete", () => {
    const made = drawn(example("retention", "Orders in the weeks"), { type: "line" });
    expect(made.marks.map((mark) => mark.value)).toEqual([1, 0.5]);
  });
  test("names of senders cannot become markup", () => {
    const evil = '<img src=x onerror="alert(1)">';
    const rows = days([1, 2], () => ({ breakdown: evil }));
    const made = drawn(worked("", { kind: "trend", series: ["visit"], breakdown: ["channel"] }, rows), {
      type: "line",
    });
    const { formatter } = optionOf<{ formatter: (found: unknown) => string }>(made, "tooltip");
    expect(formatter([{ dataIndex: 0 }])).not.toContain("<img");
    expect(svgOf(made, { width: 600, height: 240, ground: "#ffffff" })).not.toContain("<img");
  });
});

describe("from a mark onward", () => {
  test("a value of the breakdown is a condition, but not Other", () => {
    const { answer, question } = example("trend", "Revenue and mean order");
    expect(conditionOf(answer, question, answer.rows[0] ?? null)).toEqual({ property: "plan", op: "=", value: "pro" });
    expect(conditionOf(answer, question, { breakdown: "" })).toEqual({ property: "plan", op: "is_not_set" });
    expect(conditionOf(answer, question, { breakdown: "Other" })).toBeNull();
  });
  test("a period is a range of whole days", () => {
    const { answer, question } = example("trend", "People a week beside");
    expect(rangeBehind(answer, question, answer.rows[0] ?? null)).toEqual({
      date_from: "2026-01-05",
      date_to: "2026-01-11",
    });
  });
  test("people are behind rows of people", () => {
    expect(hasPeople(example("funnel", "From signup").answer)).toBe(true);
    expect(hasPeople(example("sql", "Events by name").answer)).toBe(false);
    expect(hasPeople(example("quality", "Revenue that").answer)).toBe(false);
  });
  test("arrow keys go along a line and from line to line", () => {
    const { marks } = drawn(example("trend", "Orders for each person"), { type: "line" });
    expect(marks[neighbour(marks, 0, "right")]).toMatchObject({ name: "order", place: "Tue, 6 Jan 2026" });
    expect(marks[neighbour(marks, 0, "down")]).toMatchObject({ name: "orders a visitor", place: "Mon, 5 Jan 2026" });
    expect(neighbour(marks, 0, "left")).toBe(0);
    expect(neighbour([], -1, "right")).toBe(-1);
  });
});
