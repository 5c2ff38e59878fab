import { useDebouncedCallback } from "@mantine/hooks";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import type { Kind, Question } from "../../api/types";
import { codeFields, lacksOf } from "../../components/question-form/question-form";
import { useSearch } from "../../state/url";
import { keep, keptOf, parsed, rememberKind, same } from "./draft";

const PAUSE = 400;

/** The question of the page. It asks by itself when it is whole and the hands rest, but code waits for its writer. */
export function useQuestion(project: string, kinds: Kind[]) {
  const [search, change] = useSearch();
  const text = search.get("q");
  const saved = search.get("saved") ?? "";
  const [draft, setDraft] = useState<Question | null>(() => begin(project, text));
  const [asked, setAsked] = useState<Question | null>(() => parsed(text));
  const written = useRef(text);

  const write = useCallback(
    (question: Question | null, options: { push?: boolean; saved?: string } = {}) => {
      const next = question ? JSON.stringify(question) : null;
      written.current = next;
      change((after) => {
        if (next === null) after.delete("q");
        else after.set("q", next);
        if (options.saved !== undefined) after.set("saved", options.saved);
        if (after.get("saved") === "") after.delete("saved");
        if (options.push) after.delete("chart");
      }, options);
    },
    [change],
  );

  // Another address, by the browser's back or by a link: its question takes the place of what was here.
  useEffect(() => {
    if (text === written.current) return;
    written.current = text;
    setDraft(parsed(text));
    setAsked(parsed(text));
  }, [text]);

  const kind = kinds.find((one) => one.kind === draft?.kind) ?? null;
  const lacks = useMemo(() => (kind && draft ? lacksOf(kind, draft) : []), [kind, draft]);

  const ask = useCallback(
    (question: Question) => {
      write(question);
      const own = kinds.find((one) => one.kind === question.kind);
      if (own && lacksOf(own, question).length === 0) setAsked(question);
    },
    [kinds, write],
  );
  const later = useDebouncedCallback(ask, PAUSE);
  const writeLater = useDebouncedCallback(write, PAUSE);

  /** A change by hand; `field` is the one that changed. */
  const edit = useCallback(
    (question: Question, field = "") => {
      setDraft(question);
      keep(project, { question, saved, base: written.current ?? "" });
      const own = kinds.find((one) => one.kind === question.kind);
      if (own && codeFields(own).includes(field)) writeLater(question);
      else later(question);
    },
    [project, saved, kinds, later, writeLater],
  );

  /** Another question altogether. */
  const start = useCallback(
    (question: Question | null, from = "") => {
      setDraft(question);
      write(question, { push: true, saved: from });
      const own = kinds.find((one) => one.kind === question?.kind);
      setAsked(question && own && lacksOf(own, question).length === 0 ? question : null);
      if (question?.kind) rememberKind(question.kind);
      if (question) keep(project, { question, saved: from, base: JSON.stringify(question) });
    },
    [project, kinds, write],
  );

  const valid = asked !== null && kinds.some((one) => one.kind === asked.kind && lacksOf(one, asked).length === 0);
  return {
    draft,
    kind,
    lacks,
    saved,
    /** What the answer is to. */
    asked: valid ? asked : null,
    /** Whether the form has gone on since. */
    pending: draft !== null && !same(draft, asked),
    edit,
    start,
    ask: () => draft && ask(draft),
    /** It was saved under this name, in the form that is kept. */
    setSaved: (name: string, question: Question) => {
      setDraft(question);
      setAsked(question);
      write(question, { saved: name });
    },
  };
}

/** The address's question, or what was made of it before the tab was closed. */
function begin(project: string, text: string | null): Question | null {
  const kept = keptOf(project);
  return kept && text !== null && kept.base === text ? kept.question : parsed(text);
}
