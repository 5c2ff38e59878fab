/** What a project's events have: names, properties, values; and what people named: metrics, segments, questions, boards. */

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo } from "react";
import type { Annotation } from "../charts/types";
import { call, projectPath } from "./client";
import type { Definition, EventName, Property, Question } from "./types";

export function useEventNames(project: string) {
  return useQuery({
    queryKey: ["event-names", project],
    queryFn: () => call<EventName[]>(projectPath(project, "event-names")),
    staleTime: 30_000,
  });
}

export function useProperties(project: string, event = "") {
  return useQuery({
    queryKey: ["properties", project, event],
    queryFn: () => call<Property[]>(projectPath(project, "properties"), { query: { event } }),
    staleTime: 30_000,
  });
}

export interface PropertyValue {
  value: string;
  events: number;
}

/** The most frequent values of a property, those that hold `search` first. */
export function usePropertyValues(project: string, property: string, event = "", search = "") {
  return useQuery({
    queryKey: ["property-values", project, property, event, search],
    queryFn: () =>
      call<PropertyValue[]>(projectPath(project, "property-values"), { query: { property, event, search, limit: 50 } }),
    enabled: property !== "",
    staleTime: 60_000,
  });
}

export type DefinitionKind = "metric" | "segment" | "question" | "board" | "annotation" | "plan";

export function useDefinitions(project: string, kind: DefinitionKind) {
  return useQuery({
    queryKey: ["definitions", project, kind],
    queryFn: () => call<Definition[]>(projectPath(project, "definitions", kind)),
    staleTime: 10_000,
  });
}

/** What a saved question asks, without what it says of itself. */
export function askedBy(saved: Definition): Question {
  const { description: _description, ...question } = saved.body as Question;
  return question;
}

/** Flags for the charts of a project, and of one of its boards. */
export function useAnnotations(project: string, board = ""): Annotation[] {
  const { data } = useDefinitions(project, "annotation");
  return useMemo(
    () =>
      (data ?? [])
        .filter(({ body }) => !body.board || body.board === board)
        .map(({ name, body }) => ({ at: String(body.at), text: String(body.text || name) })),
    [data, board],
  );
}

export function useDefinition(project: string, kind: DefinitionKind, name: string) {
  return useQuery({
    queryKey: ["definition", project, kind, name],
    queryFn: () => call<Definition>(projectPath(project, "definitions", kind, name)),
    enabled: name !== "",
  });
}

export function useVersions(project: string, kind: DefinitionKind, name: string, enabled = true) {
  return useQuery({
    queryKey: ["versions", project, kind, name],
    queryFn: () => call<Definition[]>(projectPath(project, "definitions", kind, name, "versions")),
    enabled,
  });
}

/** Saves a further version; `expected` refuses when somebody else saved meanwhile (0: when the name is taken). */
export function useSaveDefinition(project: string, kind: DefinitionKind) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ name, body, expected }: { name: string; body: Record<string, unknown>; expected?: number }) =>
      call<Definition>(projectPath(project, "definitions", kind, name), { method: "PUT", body, query: { expected } }),
    onSuccess: (saved) => {
      client.setQueryData(["definition", project, kind, saved.name], saved);
      void client.invalidateQueries({ queryKey: ["definitions", project, kind] });
      void client.invalidateQueries({ queryKey: ["versions", project, kind, saved.name] });
    },
  });
}

export function useRemoveDefinition(project: string, kind: DefinitionKind) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (name: string) => call(projectPath(project, "definitions", kind, name), { method: "DELETE" }),
    onSuccess: () => client.invalidateQueries({ queryKey: ["definitions", project, kind] }),
  });
}
