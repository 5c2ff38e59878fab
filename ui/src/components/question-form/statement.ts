import { createContext } from "react";

/** Of a question whose answer comes from a statement: its kind, and the field that holds it. */
export interface Statement {
  kind: string;
  field: string;
}

export const StatementContext = createContext<Statement | null>(null);
