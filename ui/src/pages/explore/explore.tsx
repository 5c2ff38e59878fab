/** Explore: choose a question, say what it is about, read the answer; save it, send it, put it on a board. */

import { Button, Loader, SegmentedControl } from "@mantine/core";
import { useHotkeys, useMediaQuery } from "@mantine/hooks";
import { useEffect, useMemo, useRef, useState } from "react";
import { useAnswer, useKinds } from "../../api/ask";
import { askedBy, useDefinition } from "../../api/catalog";
import { ApiError } from "../../api/errors";
import { atLeast } from "../../api/me";
import type { Kind } from "../../api/types";
import type { ChartChoice } from "../../charts";
import { AnswerView } from "../../components/answer-view";
import type { Fault } from "../../components/question-form/context";
import { placedIn } from "../../components/question-form/places";
import { codeFields } from "../../components/question-form/question-form";
import { without } from "../../components/question-form/values";
import { Empty, ErrorNote, PageHead, RowsSkeleton } from "../../components/states";
import { useProject, useUrlValue } from "../../state/url";
import { Actions } from "./actions";
import { AskPanel } from "./ask-panel";
import { Chooser } from "./chooser";
import { ofKind, same } from "./draft";
import { PlanBeside } from "./explain";
import classes from "./explore.module.css";
import { NotAsked } from "./not-asked";
import { useQuestion } from "./use-question";

export function Component() {
  const project = useProject();
  const kinds = useKinds(project.id);
  if (kinds.isError) return <ErrorNote error={kinds.error} onRetry={() => void kinds.refetch()} page />;
  if (!kinds.data)
    return (
      <>
        <PageHead title="Explore" />
        <RowsSkeleton />
      </>
    );
  return <Explore key={project.id} kinds={kinds.data} />;
}

function Explore({ kinds }: { kinds: Kind[] }) {
  const project = useProject();
  const question = useQuestion(project.id, kinds);
  const { draft, kind, asked, saved, start } = question;
  const definition = useDefinition(project.id, "question", saved);
  const [chart, setChart] = useUrlValue<ChartChoice>("chart", {});
  const [side, setSide] = useState<"question" | "answer">("question");
  const form = useRef<HTMLElement>(null);
  const phone = useMediaQuery("(max-width: 48em)") ?? false;
  const answer = useAnswer(project.id, asked);
  const kept = definition.data?.removed ? undefined : definition.data;
  const body = useMemo(() => (kept ? askedBy(kept) : undefined), [kept]);
  const description = String(kept?.body.description ?? "");
  useHotkeys([["mod+Enter", () => question.ask()]], [], true);

  // An address that only names a saved question stands for it.
  useEffect(() => {
    if (!draft && body) start(body, saved);
  }, [draft, body, saved, start]);

  // Whoever chose by the keyboard goes on in the form, not at the top of the page.
  const chose = useRef(false);
  const choose = (chosen: Kind) => {
    chose.current = true;
    start(ofKind(chosen, draft));
  };
  useEffect(() => {
    if (!chose.current || !kind) return;
    chose.current = false;
    form.current?.focus({ preventScroll: true });
  }, [kind]);

  const faults = useMemo<Fault[]>(() => {
    const error = answer.error;
    return error instanceof ApiError && error.place && !question.pending
      ? [{ place: placedIn(asked ?? {}, error.place), message: error.message }]
      : NONE;
  }, [answer.error, question.pending, asked]);

  if (saved && !draft && definition.isError) return <ErrorNote error={definition.error} page />;
  if (saved && !draft && definition.isPending) return <RowsSkeleton />;
  if (!draft || !kind) {
    return (
      <>
        <PageHead
          title="Explore"
          about="What do you want to know? Each question explains how it counts, and shows what it read."
        />
        {draft && !kind && (
          <Empty title="This question is of a kind that this server does not know">Choose another one below.</Empty>
        )}
        <Chooser project={project.id} kinds={kinds} onKind={choose} onQuestion={start} />
      </>
    );
  }

  const code = codeFields(kind).length > 0;
  const title = saved || kind.title;
  const changed = saved !== "" && body !== undefined && !same(body, draft);
  const shows = (part: "question" | "answer") => !phone || side === part;
  return (
    <>
      <PageHead
        title={title}
        about={
          saved ? [description, kind.title, changed ? "changed, not saved" : ""].filter(Boolean).join(" · ") : undefined
        }
      >
        <Actions
          project={project.id}
          zone={project.zone}
          kind={kind}
          title={title}
          question={draft}
          asked={asked}
          saved={saved}
          unchanged={saved !== "" && !changed}
          version={definition.data?.version ?? 0}
          description={description}
          chart={chart}
          maySave={atLeast(project.role, "analyst")}
          whole={question.lacks.length === 0}
          onOpen={start}
          onSaved={question.setSaved}
        />
      </PageHead>
      {phone && (
        <SegmentedControl
          fullWidth
          mb="md"
          aria-label="What to show"
          data={[
            { value: "question", label: "Question" },
            { value: "answer", label: "Answer" },
          ]}
          value={side}
          onChange={(value) => setSide(value as "question" | "answer")}
        />
      )}
      <div className={classes.page} data-code={code || undefined}>
        {shows("question") && (
          <section className={classes.form} ref={form} tabIndex={-1} aria-label="Question">
            <a className={classes.skip} href="#answer">
              Skip to the answer
            </a>
            <div className={code ? classes.beside : undefined}>
              <AskPanel
                project={project}
                kinds={kinds}
                kind={kind}
                draft={draft}
                faults={faults}
                onEdit={question.edit}
                onKind={choose}
                onStart={start}
              />
              {code && (
                <div>
                  <Button mb="md" fullWidth onClick={question.ask} disabled={question.lacks.length > 0} variant="light">
                    Ask
                  </Button>
                  <PlanBeside project={project.id} question={question.lacks.length ? null : draft} />
                </div>
              )}
            </div>
          </section>
        )}
        {shows("answer") && (
          <section className={classes.answer} id="answer" tabIndex={-1} aria-label="Answer">
            <NotAsked
              lacks={question.lacks}
              pending={question.pending}
              code={code}
              asked={asked !== null}
              onAsk={question.ask}
            />
            {asked && asked.kind === draft.kind ? (
              <AnswerView
                project={project.id}
                question={asked}
                chart={chart}
                onChart={setChart}
                onFilter={(condition) => question.edit({ ...draft, filters: [...listOf(draft.filters), condition] })}
                onRange={(range) => question.edit({ ...without(draft, "last", "date_from", "date_to"), ...range })}
              />
            ) : (
              question.lacks.length === 0 && !code && <Loader size="sm" aria-label="Asking" />
            )}
          </section>
        )}
      </div>
    </>
  );
}

const NONE: Fault[] = [];
const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
