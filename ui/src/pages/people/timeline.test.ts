import { expect, test } from "vitest";
import { hintOf, lengthOf, visitsOf } from "./timeline";

const event = (id: string, time: string, start: boolean | null) => ({ event_id: id, time, session_start: start });

test("sessions end where their first event is marked; the last one may go on", () => {
  const visits = visitsOf(
    [
      event("d", "2026-11-20T12:10:00Z", false),
      event("c", "2026-11-20T12:00:00Z", true),
      event("b", "2026-11-19T09:00:30Z", true),
      event("a", "2026-11-18T09:00:00Z", false),
    ],
    "UTC",
  );
  expect(visits.map(({ key, events, whole }) => [key, events.length, whole])).toEqual([
    ["c", 2, true],
    ["b", 1, true],
    ["a", 1, false],
  ]);
  expect(visits.map(lengthOf)).toEqual([600, 0, 0]);
});

test("without marks, days of the zone cut", () => {
  const visits = visitsOf(
    [
      event("c", "2026-11-20T00:30:00Z", null),
      event("b", "2026-11-19T23:30:00Z", null),
      event("a", "2026-11-19T10:00:00Z", null),
    ],
    "Europe/Berlin",
  );
  expect(visits.map(({ events }) => events.length)).toEqual([2, 1]);
});

test("nobody has no session", () => {
  expect(visitsOf([], "UTC")).toEqual([]);
});

test("an event in a few words", () => {
  expect(hintOf({ kind: "page", path: "/tea", properties: { title: "Tea" } })).toBe("/tea");
  expect(hintOf({ kind: "track", path: "/tea", properties: { $lib: "x", price: 4, tags: [1] } })).toBe(
    "/tea · price: 4",
  );
  expect(hintOf({ kind: "track", path: "", properties: {} })).toBe("");
});
