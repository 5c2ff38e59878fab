import { describe, expect, it } from "vitest";
import { lineOfYaml, read, written } from "./yaml";

const TEXT = `kind: trend
series:
  - event: visit
    filters:
      - property: plan.name
        value: pro
last: 30 days
`;

describe("YAML", () => {
  it("comes back as it was written", () => {
    const body = { at: "2026-01-31", text: "", list: [1, null, true, { "a.b": "yes" }], word: "no", number: "12" };
    expect(read(written(body))).toEqual({ body, fault: null });
  });
  it("keeps dates and words as texts", () => {
    expect(read("at: 2026-01-31\nanswer: yes\n").body).toEqual({ at: "2026-01-31", answer: "yes" });
  });
  it("says what is wrong, and where", () => {
    expect(read("a: 1\nb: [1, 2\n").fault?.line).toBeGreaterThanOrEqual(2);
    expect(read("a: 1\na: 2\n").fault?.line).toBe(2);
    expect(read("- 1\n").fault).toEqual({ message: "It has to be one object: names, each with a value.", line: 1 });
    expect(read("").body).toBeNull();
  });
  it("finds the line of a place", () => {
    expect(lineOfYaml(TEXT, "last")).toBe(7);
    expect(lineOfYaml(TEXT, "series.0.filters.0.value")).toBe(6);
    expect(lineOfYaml(TEXT, "series.0.filters.0.nothing")).toBe(5);
    expect(lineOfYaml(TEXT, "series.7")).toBe(2);
    expect(lineOfYaml(TEXT, "nothing")).toBeNull();
    expect(lineOfYaml("a.b:\n  c: 1\n", "a.b.c")).toBe(2);
  });
});
