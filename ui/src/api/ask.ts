/** Questions and their answers. */

import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { call, projectPath } from "./client";
import type { Answer, Explanation, Kind, Question } from "./types";

/** Asks. When `signal` fires, the question is stopped in the engine too. */
export async function ask(project: string, question: Question, signal?: AbortSignal, fresh = false): Promise<Answer> {
  const id = crypto.randomUUID();
  const stop = () => void call(projectPath(project, "questions", id), { method: "DELETE" }).catch(() => undefined);
  signal?.addEventListener("abort", stop, { once: true });
  try {
    return await call<Answer>(projectPath(project, "ask"), {
      method: "POST",
      body: question,
      headers: { "x-question-id": id },
      query: { fresh: fresh || undefined },
      signal,
    });
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

/** The answer to a question; null asks nothing. The answer before stays in sight while a changed question runs. */
export function useAnswer(
  project: string,
  question: Question | null,
  options: { refresh?: number; keep?: boolean } = {},
) {
  return useQuery({
    queryKey: ["answer", project, question],
    queryFn: ({ signal }) => ask(project, question as Question, signal),
    enabled: question !== null,
    staleTime: 10_000,
    refetchInterval: options.refresh ?? false,
    ...(options.keep === false ? {} : { placeholderData: keepPreviousData }),
  });
}

/** Every kind of question with its schema, documentation and examples. */
export function useKinds(project: string) {
  return useQuery({
    queryKey: ["kinds", project],
    queryFn: () => call<Kind[]>(projectPath(project, "kinds")),
    staleTime: Number.POSITIVE_INFINITY,
  });
}

/** The SQL of a question, what it will read, and how to make it cheaper. */
export function explain(project: string, question: Question): Promise<Explanation> {
  return call<Explanation>(projectPath(project, "explain"), { method: "POST", body: question });
}
