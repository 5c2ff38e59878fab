/** YAML as files of `almanac apply` have it: JSON's kinds of values, dates as texts. */

import { isScalar, LineCounter, type Node, parseDocument, stringify } from "yaml";
import type { Row } from "../api/types";

export function written(body: Row): string {
  return stringify(body, { lineWidth: 120 });
}

interface Read {
  body: Row | null;
  fault: { message: string; line: number } | null;
}

/** What a text holds as one object, or what is wrong with it and where. */
export function read(text: string): Read {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const [first] = document.errors;
  if (first) {
    const { line } = lines.linePos(first.pos[0]);
    return { body: null, fault: { message: `This is no YAML: ${first.message} (line ${line}).`, line } };
  }
  const body: unknown = document.toJS();
  if (body === null || typeof body !== "object" || Array.isArray(body))
    return { body: null, fault: { message: "It has to be one object: names, each with a value.", line: 1 } };
  return { body: body as Row, fault: null };
}

/** The line on which the deepest known part of a dotted path begins; null where not even its first part is there. Names may hold dots. */
export function lineOfYaml(text: string, path: string): number | null {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const parts = path.split(".");
  let found: number | null = null;
  let above: (string | number)[] = [];
  for (let from = 0; from < parts.length; ) {
    const step = longest(document, above, parts.slice(from));
    if (!step) break;
    above = [...above, step.key];
    found = lines.linePos(step.at).line;
    from += step.parts;
  }
  return found;
}

type Step = { key: string | number; at: number; parts: number };

/** The next step on the way: a list's place, or the name that takes most parts of what is left. */
function longest(document: ReturnType<typeof parseDocument>, above: (string | number)[], left: string[]): Step | null {
  const here = (above.length ? document.getIn(above, true) : document.contents) as
    | (Node & { items?: { key?: unknown; range?: number[] | null }[] })
    | null;
  const items = here?.items ?? [];
  for (let parts = left.length; parts > 0; parts -= 1) {
    const name = left.slice(0, parts).join(".");
    const pair = items.find(({ key }) => isScalar(key) && String(key.value) === name);
    if (pair && isScalar(pair.key)) return { key: name, at: pair.key.range?.[0] ?? 0, parts };
  }
  const place = Number(left[0]);
  const item = Number.isInteger(place) ? items[place] : undefined;
  return item?.range ? { key: place, at: item.range[0] ?? 0, parts: 1 } : null;
}
