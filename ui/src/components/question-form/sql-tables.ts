/** The tables that a statement may read, with their columns, as the engine itself tells them. */

import { useQuery } from "@tanstack/react-query";
import { useContext } from "react";
import { ask } from "../../api/ask";
import { StatementContext } from "./statement";

const TABLES = ["events", "profile_changes", "event_names", "event_properties"];

/** Columns by table; empty until they are known. */
export function useTables(project: string): Record<string, string[]> {
  const asked = useContext(StatementContext);
  const found = useQuery({
    queryKey: ["tables", project, asked?.kind],
    enabled: asked !== null,
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: async ({ signal }) => {
      if (!asked) return {};
      const read = async (table: string) => {
        const answer = await ask(
          project,
          { kind: asked.kind, [asked.field]: `SELECT * FROM ${table} LIMIT 0` },
          signal,
        );
        return [table, answer.columns.map((column) => column.name)] as const;
      };
      return Object.fromEntries(await Promise.all(TABLES.map(read)));
    },
  });
  return found.data ?? NONE;
}

const NONE: Record<string, string[]> = {};
