import { expect, test } from "vitest";
import { latestOf } from "./latest";

const event = (id: string, at: string) => ({ event_id: id, time_received: `2026-11-21T10:00:${at}Z` });

test("each once, the latest first", () => {
  const found = latestOf(
    [event("c", "03"), event("b", "02")],
    [event("b", "02"), event("d", "04"), event("a", "01")],
    3,
  );
  expect(found.map(({ event_id }) => event_id)).toEqual(["d", "c", "b"]);
});
