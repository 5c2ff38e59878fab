/** What somebody edits: a definition as text, kept in the browser until it is saved, so that a closed tab loses nothing. */

import { useState } from "react";
import type { DefinitionKind } from "../../api/catalog";
import { ApiError } from "../../api/errors";
import type { Row } from "../../api/types";
import { lineOfPath } from "../../components/json-place";

export interface Draft {
  name: string;
  text: string;
  /** As YAML, where it is edited so; `text` is what was read of it last. */
  yaml?: string;
  /** The version that it began with; 0: none. */
  version: number;
}

export const asText = (body: unknown): string => JSON.stringify(body, null, 2);

/** The body, or null while the text is no JSON object. */
export function bodyOf(text: string): Row | null {
  try {
    const value: unknown = JSON.parse(text);
    return value !== null && typeof value === "object" && !Array.isArray(value) ? (value as Row) : null;
  } catch {
    return null;
  }
}

function read(key: string): Draft | null {
  try {
    return JSON.parse(window.localStorage.getItem(key) ?? "null") as Draft | null;
  } catch {
    return null;
  }
}

/** The draft of a definition; it begins as `saved`, and is kept while it differs from it. */
export function useDraft(project: string, kind: DefinitionKind, saved: Draft) {
  const key = `almanac.draft.${project}.${kind}.${saved.version ? saved.name : ""}`;
  const [draft, setDraft] = useState<Draft>(() => read(key) ?? saved);
  const differs = (one: Draft) => one.text !== saved.text || one.name !== saved.name || one.yaml !== undefined;
  const changed = differs(draft);
  const change = (next: Draft) => {
    setDraft(next);
    if (!differs(next)) window.localStorage.removeItem(key);
    else window.localStorage.setItem(key, JSON.stringify(next));
  };
  const drop = () => {
    window.localStorage.removeItem(key);
    setDraft(saved);
  };
  return { draft, change, changed, drop, forget: () => window.localStorage.removeItem(key) };
}

/** Where in the body an error of the API stands: its place without the section and the name that lead there. */
export function placeIn(place: string, name: string): string {
  const rest = place.replace(/^[a-z]+s\./, "");
  if (rest === name) return "";
  return rest.startsWith(`${name}.`) ? rest.slice(name.length + 1) : rest;
}

/** What the server found wrong with a text, and on which line. */
export function faultIn(error: unknown, draft: Draft): { message: string; place: string; line: number | null } | null {
  if (!(error instanceof ApiError) || error.status === 409) return null;
  const place = placeIn(error.place, draft.name);
  const message = [error.message, error.wayOut].filter(Boolean).join(" ");
  return { message, place, line: place ? lineOfPath(draft.text, place) : null };
}
