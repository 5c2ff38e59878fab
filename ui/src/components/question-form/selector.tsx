/** Which events: a name, any, or a saved metric's; which of them; and whatever else its schema asks of them. */

import { Stack, TextInput } from "@mantine/core";
import type { Condition } from "../../api/types";
import { EventPicker, type Picked } from "../event-picker";
import { FilterBuilder } from "../filters/filter-builder";
import { type FieldProps, faultAt, useForm } from "./context";
import { FieldOf } from "./field";
import classes from "./form.module.css";
import { useMore } from "./more";
import { OwnSegment } from "./nested";
import { type Defs, humane, type Schema, type Shape, shapeOf } from "./schema";
import { without } from "./values";

type Given = Record<string, unknown>;

/** They have places of their own in the form. */
const OWN = ["event", "metric", "filters", "name", "formula", "of"];

export function SelectorField({
  shape,
  value,
  onChange,
  place,
  label,
  help,
  required,
}: FieldProps & { shape: Extract<Shape, { is: "selector" }> }) {
  const { project, defs, faults } = useForm();
  const given = selectorOf(value);
  const set = (change: Given) => onChange(kept({ ...(given ?? {}), ...change }, shape.fields));
  const isFormula = given !== null && typeof given.formula === "string" && "formula" in shape.fields;
  const event = typeof given?.event === "string" ? given.event : "";
  const errorAt = (field: string, within = false) => faultAt(faults, `${place}.${field}`, within);
  const { inline, more } = sorted(shape.fields, defs, given ?? {}, isFormula);
  const field = (name: string) => (
    <FieldOf
      key={name}
      schema={shape.fields[name] as Schema}
      value={given?.[name]}
      onChange={(next) => set({ [name]: next })}
      place={`${place}.${name}`}
      label={humane(name)}
      help={shape.fields[name]?.description ?? ""}
      required={false}
    />
  );
  const { lid, opened, id } = useMore({
    title: "Name and more",
    set: more.filter((name) => given?.[name] !== undefined),
    faulty: more.some((name) => errorAt(name, true) !== ""),
  });
  return (
    <Stack gap="sm" className={classes.selector ?? ""} {...(label ? { role: "group", "aria-label": label } : {})}>
      {label && <Head label={label} help={help} required={required} />}
      {isFormula ? (
        <TextInput
          aria-label="Formula"
          placeholder="A / B"
          ff="monospace"
          spellCheck={false}
          value={String(given.formula)}
          onChange={(change) => onChange({ ...given, formula: change.currentTarget.value })}
          error={errorAt("formula") || faultAt(faults, place)}
        />
      ) : (
        <EventPicker
          project={project}
          value={pickedOf(given)}
          onChange={(picked) => onChange(kept(chosen(given, picked), shape.fields))}
          {...("formula" in shape.fields
            ? {
                others: [{ value: "formula", label: "A formula of other lines" }],
                onOther: () => onChange({ formula: "" }),
              }
            : {})}
          error={errorAt("event") || errorAt("metric") || faultAt(faults, place)}
          onClear={required || given === null ? undefined : () => onChange(undefined)}
        />
      )}
      {given !== null && (
        <>
          {inline.map(field)}
          {isFormula ? (
            "of" in shape.fields && field("of")
          ) : (
            <FilterBuilder
              project={project}
              event={event}
              value={(given.filters as Condition[] | undefined) ?? []}
              onChange={(filters) => set({ filters: filters.length ? filters : undefined })}
              tail={lid}
              errorAt={(below) => errorAt(`filters.${below}`)}
              ownSegment={(segment, change, below) => (
                <OwnSegment value={segment} onChange={change} place={`${place}.filters.${below}`} />
              )}
            />
          )}
          {isFormula && lid}
          {opened && (
            <Stack gap="md" id={id}>
              {more.map(field)}
              {isFormula && (
                <button type="button" className={classes.plain} onClick={() => onChange({})}>
                  Count events instead of the formula
                </button>
              )}
            </Stack>
          )}
        </>
      )}
    </Stack>
  );
}

function Head({ label, help, required }: { label: string; help: string; required: boolean }) {
  return (
    <div>
      <div className={classes.label}>
        {label}
        {required && <span className={classes.required}> *</span>}
      </div>
      {help && <div className={classes.help}>{help}</div>}
    </div>
  );
}

/** A bare text is a name; nothing is nothing chosen yet. */
export function selectorOf(value: unknown): Given | null {
  if (typeof value === "string") return { event: value };
  return value && typeof value === "object" && !Array.isArray(value) ? (value as Given) : null;
}

/** Other events in the place of these. Any event goes without a name; a saved metric says itself what is reckoned. */
function chosen(given: Given | null, picked: Picked): Given {
  if ("metric" in picked) return { ...picked, filters: given?.filters, name: given?.name };
  return { ...without(given ?? {}, "event", "metric"), ...(picked.event === null ? {} : { event: picked.event }) };
}

function pickedOf(given: Given | null): Picked | null {
  if (given === null) return null;
  if (typeof given.metric === "string") return { metric: given.metric };
  return { event: typeof given.event === "string" ? given.event : null };
}

/** What is chosen first stands in sight: the choices, and what goes with a choice that is not the usual one. */
function sorted(fields: Defs, defs: Defs, given: Given, isFormula: boolean): { inline: string[]; more: string[] } {
  const names = Object.keys(fields).filter((name) => !OWN.includes(name));
  const shapes = new Map(names.map((name) => [name, shapeOf(fields[name] as Schema, defs)]));
  const choice =
    isFormula || given.metric !== undefined ? undefined : names.find((name) => shapes.get(name)?.is === "choice");
  const unusual =
    choice !== undefined && given[choice] !== undefined && given[choice] !== shapes.get(choice)?.schema.default;
  const inline = names.filter((name) => name === choice || (unusual && shapes.get(name)?.is === "property"));
  const rest = names.filter((name) => !inline.includes(name));
  // A formula has none of its own, and a saved metric says all itself.
  const own =
    isFormula || given.metric !== undefined
      ? rest.filter((name) => shapes.get(name)?.is === "switch" || given[name] !== undefined)
      : rest;
  return { inline, more: ["name" in fields ? "name" : "", ...own].filter(Boolean) };
}

function kept(given: Given, fields: Defs): Given {
  const empty = Object.keys(given).filter(
    (name) =>
      given[name] === undefined || (!["event", "formula"].includes(name) && given[name] === fields[name]?.default),
  );
  return without(given, ...empty);
}
