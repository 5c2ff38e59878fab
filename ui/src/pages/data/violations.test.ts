import { expect, test } from "vitest";
import { foundOf } from "./violations";

test("faults of several days and versions are one", () => {
  const fault = (rule: string, count: number, last_seen: string) => ({
    event: "order",
    property: "total",
    rule,
    count,
    last_seen,
  });
  const found = foundOf({
    events: [
      { event: "order", checked: 10, failed: 3 },
      { event: "order", checked: 5, failed: 1 },
    ],
    violations: [fault("type", 1, "2026-11-20"), fault("required", 2, "2026-11-19"), fault("type", 3, "2026-11-18")],
  });
  expect(found.checked).toBe(15);
  expect(found.failed).toBe(4);
  expect(found.faults).toEqual([fault("type", 4, "2026-11-20"), fault("required", 2, "2026-11-19")]);
});
