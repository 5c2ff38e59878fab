/** What every field of a form needs to know: whose events, the schema's parts, and what the server refused where. */

import { createContext, useContext } from "react";
import type { Defs } from "./schema";

export interface Fault {
  /** "steps.0.filters.1.op"; "" is the question as a whole. */
  place: string;
  message: string;
}

export interface FormHouse {
  project: string;
  defs: Defs;
  faults: readonly Fault[];
}

export const FormContext = createContext<FormHouse>({ project: "", defs: {}, faults: [] });

export const useForm = (): FormHouse => useContext(FormContext);

/** What is wrong at just this place; with `within`, at it or anywhere in it. */
export function faultAt(faults: readonly Fault[], place: string, within = false): string {
  return (
    faults.find((fault) => fault.place === place || (within && fault.place.startsWith(`${place}.`)))?.message ?? ""
  );
}

export interface FieldProps {
  value: unknown;
  /** Undefined leaves the field out of the question. */
  onChange: (value: unknown) => void;
  place: string;
  label: string;
  help: string;
  required: boolean;
}
