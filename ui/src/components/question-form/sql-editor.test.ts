import { CompletionContext } from "@codemirror/autocomplete";
import { EditorState } from "@codemirror/state";
import { expect, test } from "vitest";
import { ofProject } from "./sql-editor";

const known = {
  tables: { events: ["event", "time"] },
  events: ["sign up", "order"],
  properties: ["plan", "utm.source", "a b"],
};

/** What is offered at the end of the text, and from where it would be written. */
function offered(text: string): { from: number; labels: string[]; written: string[] } | null {
  const found = ofProject(new CompletionContext(EditorState.create({ doc: text }), text.length, false), known);
  if (!found) return null;
  const written = found.options.map((one) => (typeof one.apply === "string" ? one.apply : one.label));
  return { from: found.from, labels: found.options.map((one) => one.label), written };
}

test("names of events within quotes", () => {
  expect(offered("SELECT 1 WHERE event = 'or")).toMatchObject({ from: 24, labels: ["sign up", "order"] });
});

test("columns and functions elsewhere, also behind a text that ended", () => {
  const found = offered("SELECT 1 WHERE event = 'order' ORDER BY ev");
  expect(found?.labels).toContain("event");
  expect(found?.written).toContain("uniqExact(");
  expect(offered("SELECT ")).toBeNull();
});

test("paths of properties, with quotes where a name needs them", () => {
  expect(offered("SELECT properties.pl")).toMatchObject({
    from: 18,
    written: ["plan.:String", "utm.source.:String", "`a b`.:String"],
  });
});
