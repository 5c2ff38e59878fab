/** Which events: a name, any, or a saved metric's; which of them; and whatever else its schema asks of them. */

import { Stack, TextInput } from "@mantine/core";
import type { Condition } from "../../api/types";
import { EventPicker, type Picked } from "../event-picker";
import { FilterBuilder } from "../filters/filter-builder";
import { type FieldProps, faultAt, useForm } from "./context";
import { FieldOf } from "./field";
import classes from "./form.module.css";
import { Narrow } from "./head";
import { choicesOf, optionsOf } from "./layout";
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
  const given = selectorOf(value, /^name of a saved metric/i.test(help));
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
          styles={{ input: { fontFamily: "var(--mantine-font-family-monospace)" } }}
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
          <Narrow.Provider value={true}>{inline.map(field)}</Narrow.Provider>
          {isFormula ? (
            <Narrow.Provider value={true}>{"of" in shape.fields && field("of")}</Narrow.Provider>
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
              <Narrow.Provider value={true}>{more.map(field)}</Narrow.Provider>
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

/** A bare text is a name, of an event or of a metric; nothing is nothing chosen yet. */
export function selectorOf(value: unknown, ofMetric = false): Given | null {
  if (typeof value === "string") return ofMetric ? { metric: value } : { event: value };
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

/** The first choice stands in sight, with what its option needs; the rest is under the lid, unless it belongs to another option. */
function sorted(fields: Defs, defs: Defs, given: Given, isFormula: boolean): { inline: string[]; more: string[] } {
  const all = Object.entries(fields).map(([name, schema]) => ({ name, schema, required: false }));
  const choices = choicesOf(all, defs);
  const names = all.filter(({ name }) => !OWN.includes(name));
  // A formula has none of its own, and a saved metric says all itself.
  if (isFormula || given.metric !== undefined) {
    const left = names.filter(({ name, schema }) => given[name] !== undefined || shapeOf(schema, defs).is === "switch");
    return {
      inline: [],
      more: withName(
        fields,
        left.map(({ name }) => name),
      ),
    };
  }
  const first = names.find(({ name }) => choices.has(name))?.name;
  const inline: string[] = [];
  const more: string[] = [];
  for (const field of names) {
    const only = optionsOf(field, choices);
    const value = only ? (given[only.field] ?? fields[only.field]?.default) : undefined;
    const needed = only?.field === first && only?.options.includes(String(value)) && isShort(field.schema, defs);
    if (field.name === first || needed) inline.push(field.name);
    else if (only === null || only.options.includes(String(value)) || given[field.name] !== undefined)
      more.push(field.name);
  }
  return { inline, more: withName(fields, more) };
}

/** What an option cannot do without stands beside it: a property, a number. */
const isShort = (schema: Schema, defs: Defs): boolean => ["property", "number"].includes(shapeOf(schema, defs).is);

const withName = (fields: Defs, names: string[]): string[] => ("name" in fields ? ["name", ...names] : names);

function kept(given: Given, fields: Defs): Given {
  const empty = Object.keys(given).filter(
    (name) =>
      given[name] === undefined || (!["event", "formula"].includes(name) && given[name] === fields[name]?.default),
  );
  return without(given, ...empty);
}
