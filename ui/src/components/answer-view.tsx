/** A question's answer in all its states: on its way, late, empty, wrong, old; as chart and table; with its receipt. */

import { useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useState } from "react";
import { useAnswer } from "../api/ask";
import { useAnnotations } from "../api/catalog";
import { useLiveAnswer } from "../api/live";
import { atLeast } from "../api/me";
import type { Answer, Question } from "../api/types";
import { useProject } from "../state/url";
import { Annotate } from "./annotate";
import { AnswerPanel, type PanelProps } from "./answer-panel";
import { Empty } from "./states";

export interface AnswerViewProps
  extends Omit<
    PanelProps,
    | "answer"
    | "error"
    | "fetching"
    | "cameAt"
    | "onCancel"
    | "onRetry"
    | "question"
    | "liveError"
    | "cancelled"
    | "annotations"
    | "onMark"
  > {
  /** null: there is nothing to ask yet. */
  question: Question | null;
  /** Keeps itself up to date. */
  live?: boolean;
  /** Asks again after so many ms. */
  refresh?: number;
  /** Told of every answer that is shown. */
  onAnswer?: (answer: Answer) => void;
  /** The board on which it stands, whose flags it shows too. */
  board?: string;
}

export function AnswerView({ question, live = false, refresh, onAnswer, board = "", ...shown }: AnswerViewProps) {
  const { project } = shown;
  const { role } = useProject();
  const annotations = useAnnotations(project, board);
  const [marked, setMarked] = useState("");
  const client = useQueryClient();
  const found = useAnswer(project, question, refresh ? { refresh } : {});
  const liveError = useLiveAnswer(project, question, live);
  const { data } = found;
  useEffect(() => {
    if (data) onAnswer?.(data);
  }, [data, onAnswer]);
  const cancel = useCallback(
    () => void client.cancelQueries({ queryKey: ["answer", project, question] }),
    [client, project, question],
  );
  if (!question)
    return <Empty title="Nothing is asked yet">The answer comes here as soon as the question is whole.</Empty>;
  const panel = (
    <AnswerPanel
      {...shown}
      annotations={annotations}
      {...(atLeast(role, "analyst") ? { onMark: setMarked } : {})}
      question={question}
      answer={data ?? null}
      error={found.error}
      fetching={found.isFetching}
      old={found.isPlaceholderData}
      cancelled={!data && !found.isFetching && !found.error}
      cameAt={found.dataUpdatedAt}
      live={live && !liveError}
      liveError={liveError}
      onCancel={cancel}
      onRetry={() => void found.refetch()}
    />
  );
  return (
    <>
      {panel}
      {marked && <Annotate project={project} board={board} at={marked} onClose={() => setMarked("")} />}
    </>
  );
}
