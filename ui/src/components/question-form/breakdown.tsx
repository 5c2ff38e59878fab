/** What an answer is split by: a property, or segments. */

import { Stack } from "@mantine/core";
import { type Of, propertyOf } from "../filters/conditions";
import { PropertyPicker } from "../filters/property-picker";
import { type FieldProps, faultAt, useForm } from "./context";
import { FieldOf } from "./field";
import classes from "./form.module.css";
import { Around } from "./head";
import { More } from "./more";
import { humane, type Schema, type Shape } from "./schema";
import { withField, without } from "./values";

const OWN = ["property", "of", "segments"];

export function BreakdownField({
  shape,
  value,
  onChange,
  place,
  label,
  help,
  required,
}: FieldProps & { shape: Extract<Shape, { is: "breakdown" }> }) {
  const { project, faults } = useForm();
  const given = typeof value === "string" ? { property: value } : ((value ?? null) as Record<string, unknown> | null);
  const bySegments = Array.isArray(given?.segments);
  const property = given ? propertyOf(given) : "";
  const of = (given?.of ?? given?.by ?? "event") as Of;
  const set = (name: string, next: unknown) =>
    onChange(withField(given ?? {}, name, next, shape.fields[name]?.default));
  const more = Object.keys(shape.fields).filter(
    (name) => !OWN.includes(name) && (name !== "group_type" || of === "group"),
  );
  const field = (name: string) => (
    <FieldOf
      key={name}
      schema={shape.fields[name] as Schema}
      value={given?.[name]}
      onChange={(next) => set(name, next)}
      place={`${place}.${name}`}
      label={humane(name)}
      help={shape.fields[name]?.description ?? ""}
      required={false}
    />
  );
  return (
    <Around label={label} help={help} required={required} place={place}>
      <Stack gap="sm" mt={label ? 4 : 0}>
        {bySegments ? (
          field("segments")
        ) : (
          <PropertyPicker
            project={project}
            label={label || "Split by"}
            placeholder={required ? "Choose a property" : "Nothing"}
            owners={["event", "person", "group"]}
            value={property ? { property, of } : null}
            onChange={(picked) =>
              onChange({
                ...without(given ?? {}, "prop", "by", "of"),
                property: picked.property,
                ...(picked.of === "event" ? {} : { of: picked.of }),
              })
            }
            error={faultAt(faults, `${place}.property`)}
            onClear={required || !property ? undefined : () => onChange(undefined)}
          />
        )}
        {of === "group" && !bySegments && field("group_type")}
        <More
          title="More"
          set={more.filter((name) => given?.[name] !== undefined)}
          faulty={more.some((name) => faultAt(faults, `${place}.${name}`, true) !== "")}
        >
          {more.filter((name) => name !== "group_type").map(field)}
          <button
            type="button"
            className={classes.plain}
            onClick={() =>
              onChange(
                bySegments
                  ? undefined
                  : { ...without(given ?? {}, "property", "prop", "of", "by", "group_type"), segments: [null] },
              )
            }
          >
            {bySegments ? "Split by a property instead" : "Split by segments instead"}
          </button>
        </More>
      </Stack>
    </Around>
  );
}
