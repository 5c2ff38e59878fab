/** Fields that hold others: filters, segments, objects, maps of named things, and values with several forms. */

import { ActionIcon, Button, Group, Input, NativeSelect, Stack, TextInput } from "@mantine/core";
import { IconPlus, IconX } from "@tabler/icons-react";
import type { Condition } from "../../api/types";
import type { Of } from "../filters/conditions";
import { FilterBuilder } from "../filters/filter-builder";
import { FilterRow, SegmentRow } from "../filters/filter-row";
import { useKeys } from "../keys";
import { type FieldProps, faultAt, useForm } from "./context";
import { FieldOf } from "./field";
import classes from "./form.module.css";
import { useHead } from "./head";
import { layoutOf } from "./layout";
import { More } from "./more";
import { type Defs, formOfValue, humane, type Schema, type Shape, segmentOf, shapeOf } from "./schema";
import { withField } from "./values";

type WithShape<Is extends Shape["is"]> = FieldProps & { shape: Extract<Shape, { is: Is }> };

export function ConditionsField({ value, onChange, place, label, help, required }: FieldProps) {
  const head = useHead(label, help);
  const { project, faults } = useForm();
  return (
    <Input.Wrapper
      label={head.label}
      description={head.description}
      required={required}
      error={faultAt(faults, place)}
      labelElement="div"
    >
      <Stack mt={4} role="group" aria-label={label}>
        <FilterBuilder
          project={project}
          value={Array.isArray(value) ? (value as Condition[]) : []}
          onChange={(conditions) => onChange(conditions.length ? conditions : undefined)}
          errorAt={(below) => faultAt(faults, `${place}.${below}`)}
          ownSegment={(segment, change, below) => (
            <OwnSegment value={segment} onChange={change} place={`${place}.${below}`} />
          )}
        />
      </Stack>
    </Input.Wrapper>
  );
}

export function ConditionField({ owners, value, onChange, place }: FieldProps & { owners: string[] }) {
  const { project, faults } = useForm();
  return (
    <FilterRow
      project={project}
      owners={owners as Of[]}
      value={(value as Condition | undefined) ?? { property: "" }}
      onChange={onChange}
      errorAt={(field) => faultAt(faults, `${place}.${field}`)}
    />
  );
}

/** A segment that is written out where a saved one could stand. */
export function OwnSegment({
  value,
  onChange,
  place,
}: {
  value: unknown;
  onChange: (value: unknown) => void;
  place: string;
}) {
  const { defs } = useForm();
  const schema = Object.values(defs).find((one) => one.title === "Segment" && "all" in (one.properties ?? {}));
  return schema ? (
    <div className={classes.nested} style={{ flexBasis: "100%" }}>
      <FieldOf schema={schema} value={value} onChange={onChange} place={place} label="" help="" required />
    </div>
  ) : null;
}

export function SegmentField({ shape, value, onChange, place, label, help }: WithShape<"segment">) {
  const head = useHead(label, help);
  const { project, faults } = useForm();
  const given: Condition = segmentOf(value) ?? { segment: "" };
  const own = given.segment !== null && typeof given.segment === "object";
  return (
    <Input.Wrapper label={head.label} description={head.description} error={faultAt(faults, place)} labelElement="div">
      <SegmentRow
        project={project}
        owners={["event"]}
        value={given}
        onChange={onChange}
        errorAt={(field) => faultAt(faults, `${place}.${field}`)}
        other={
          <OwnSegment
            value={given.segment}
            onChange={(segment) => onChange({ ...given, segment })}
            place={`${place}.segment`}
          />
        }
      />
      {"segment" in shape.fields && (
        <button
          type="button"
          className={classes.plain}
          onClick={() => onChange({ ...given, segment: own ? "" : { all: [null] } })}
        >
          {own ? "Take a saved segment instead" : "Write a segment out instead"}
        </button>
      )}
    </Input.Wrapper>
  );
}

/** Fields beyond so many are not all shown at once. */
const FEW = 5;

export function ObjectField({ shape, value, onChange, place, label, help, required }: WithShape<"object">) {
  const head = useHead(label, help);
  const { defs, faults } = useForm();
  const given = value && typeof value === "object" && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
  const layout = layoutOf(shape.schema, defs, given, seenFirst(shape.fields, defs));
  const all = Object.keys(shape.fields).length <= FEW;
  const shown = all ? [...layout.main, ...layout.more.flatMap((group) => group.fields)] : layout.main;
  const rest = all ? [] : layout.more.flatMap((group) => group.fields);
  const field = ({ name, schema, required: needed }: (typeof shown)[number]) => (
    <FieldOf
      key={name}
      schema={schema}
      value={given[name]}
      onChange={(next) => onChange(emptied(withField(given, name, next, schema.default), required))}
      place={`${place}.${name}`}
      label={humane(name)}
      help={schema.description ?? ""}
      required={needed}
    />
  );
  return (
    <Input.Wrapper
      label={head.label}
      description={head.description}
      required={required && label !== ""}
      error={faultAt(faults, place)}
      labelElement="div"
    >
      <Stack gap="md" mt={4} className={label ? (classes.nested ?? "") : ""}>
        {shown.map(field)}
        {rest.length > 0 && (
          <More
            title="More"
            set={rest.map((one) => one.name).filter((name) => given[name] !== undefined)}
            faulty={rest.some((one) => faultAt(faults, `${place}.${one.name}`, true) !== "")}
          >
            {rest.map(field)}
          </More>
        )}
      </Stack>
    </Input.Wrapper>
  );
}

/** Choices and events stand in sight in an object that is part of a question: of these it is made. */
function seenFirst(fields: Defs, defs: Defs): Record<string, number> {
  const first = Object.keys(fields).filter((name) =>
    ["choice", "selector"].includes(shapeOf(fields[name] as Schema, defs).is),
  );
  return Object.fromEntries(first.map((name) => [name, Number.POSITIVE_INFINITY]));
}

const emptied = (given: Record<string, unknown>, required: boolean): unknown =>
  required || Object.keys(given).length ? given : undefined;

export function MapField({ shape, value, onChange, place, label, help }: WithShape<"map">) {
  const head = useHead(label, help);
  const { faults } = useForm();
  const entries = Object.entries((value as Record<string, unknown> | undefined) ?? {});
  const { keys, added, removed } = useKeys(entries.length);
  const put = (next: [string, unknown][]) => onChange(next.length ? Object.fromEntries(next) : undefined);
  const free = () => {
    const letters = Array.from({ length: 26 }, (_, at) => String.fromCharCode(65 + at));
    return letters.find((letter) => !entries.some(([name]) => name === letter)) ?? `part${entries.length + 1}`;
  };
  return (
    <Input.Wrapper label={head.label} description={head.description} error={faultAt(faults, place)} labelElement="div">
      <Stack gap="sm" mt={4}>
        {entries.map(([name, item], at) => (
          <Group key={keys[at]} gap="sm" align="flex-start" wrap="nowrap">
            <TextInput
              aria-label="Name"
              w={72}
              value={name}
              onChange={(event) => {
                const next = event.currentTarget.value;
                if (next && !entries.some(([other], place) => place !== at && other === next))
                  put(entries.map((one, place) => (place === at ? [next, item] : one)));
              }}
            />
            <div className={classes.inside}>
              <FieldOf
                schema={shape.item}
                value={item ?? undefined}
                onChange={(next) => put(entries.map((one, place) => (place === at ? [name, next ?? null] : one)))}
                place={`${place}.${name}`}
                label=""
                help=""
                required
              />
            </div>
            <ActionIcon
              variant="subtle"
              color="gray"
              size="lg"
              aria-label={`Remove ${name}`}
              onClick={() => {
                removed(at);
                put(entries.filter((_, place) => place !== at));
              }}
            >
              <IconX size={16} />
            </ActionIcon>
          </Group>
        ))}
        <Button
          size="compact-sm"
          variant="subtle"
          style={{ alignSelf: "flex-start" }}
          leftSection={<IconPlus size={14} aria-hidden />}
          onClick={() => {
            added();
            put([...entries, [free(), null]]);
          }}
        >
          Add one
        </Button>
      </Stack>
    </Input.Wrapper>
  );
}

/** A value that may have several forms: which one is chosen first. Another form begins empty. */
export function UnionField({ shape, value, onChange, place, label, help, required }: WithShape<"union">) {
  const head = useHead(label, help);
  const { faults } = useForm();
  const blank = value === undefined || value === null;
  const chosen = blank ? -1 : formOfValue(shape.forms, value);
  const form = shape.forms[chosen];
  const begun = (schema: Schema) => (schema.type === "string" ? "" : schema.type === "array" ? [] : {});
  return (
    <Input.Wrapper
      label={head.label}
      description={head.description}
      required={required && label !== ""}
      error={faultAt(faults, place)}
      labelElement="div"
    >
      <Stack gap="sm" mt={4}>
        <NativeSelect
          aria-label={label ? `${label}: its form` : "Form"}
          data={[
            { value: "-1", label: required ? "Choose" : "Nothing" },
            ...shape.forms.map((one, at) => ({ value: String(at), label: one.label })),
          ]}
          value={String(chosen)}
          onChange={(event) => {
            const next = shape.forms[Number(event.currentTarget.value)];
            onChange(next ? (blankOf(next.schema) ?? begun(next.schema)) : undefined);
          }}
        />
        {form && (
          <FieldOf schema={form.schema} value={value} onChange={onChange} place={place} label="" help="" required />
        )}
      </Stack>
    </Input.Wrapper>
  );
}

/** An object that can be told from the other forms by the fields it must have, blank as they are. */
function blankOf(schema: Schema): Record<string, unknown> | null {
  if (schema.type !== "object" || !schema.required?.length) return null;
  return Object.fromEntries(schema.required.map((name) => [name, null]));
}
