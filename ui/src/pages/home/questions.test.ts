import { expect, test } from "vitest";
import type { Answer } from "../../api/types";
import * as ask from "./questions";

const range = { last: "7 days" };
const channel = { property: "@channel", value: "Email" };
const country = { property: "@country", value: "DE" };
const totals = {
  receipt: { window: { from: "2026-11-14T00:00:00Z", to: "2026-11-21T12:00:20Z" } },
} as unknown as Answer;

test("sources and pages narrow to whole sessions, countries to events", () => {
  const question = ask.visits({ range, filters: [channel, country] });
  expect(question.event).toEqual({ filters: [channel] });
  expect(question.filters).toEqual([country]);
  expect(ask.visits({ range, filters: [country] }).event).toBeUndefined();
});

test("what people did besides is asked of the people, of the same range", () => {
  const question = ask.events({ range, filters: [channel, country] }, totals, 9);
  const people = { did: { filters: [channel] }, within: "10800 minutes" };
  expect(question?.filters).toEqual([country, { segment: { name: "these people", all: [people] } }]);
  expect(ask.events({ range, filters: [channel] }, undefined, 9)).toBeNull();
  expect(ask.events({ range, filters: [country] }, undefined, 9)?.filters).toEqual([country]);
});

test("the range before is as long, and ends where this one begins", () => {
  const before = ask.visitsBefore(totals, { range, filters: [] });
  expect(before).toMatchObject({ date_from: "2026-11-06T12:00:00.000Z", date_to: "2026-11-14T00:00:00.000Z" });
  expect(before).not.toHaveProperty("last");
  expect(ask.visitsBefore(undefined, { range, filters: [] })).toBeNull();
});

test("goals have no earlier side where the people are those of this range", () => {
  expect(ask.goals(["orders"], { range, filters: [] }, totals)?.compare).toBe("previous_period");
  expect(ask.goals(["orders"], { range, filters: [channel] }, totals)).not.toHaveProperty("compare");
  expect(ask.goals([], { range, filters: [] }, totals)).toBeNull();
});

test("a saved metric filters by those who did it; a formula by nobody", () => {
  expect(ask.didOf("orders", { event: "purchase" })).toEqual({
    segment: { name: "did orders", all: [{ did: { metric: "orders" } }] },
  });
  expect(ask.didOf("rate", { formula: "a / b" })).toBeNull();
});
