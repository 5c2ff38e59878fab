/** Fields of one value: choices, numbers, switches, texts, lengths of time, names of properties. */

import {
  Group,
  Input,
  MultiSelect,
  NativeSelect,
  NumberInput,
  SegmentedControl,
  Select,
  Switch,
  TagsInput,
  Textarea,
  TextInput,
} from "@mantine/core";
import { useState } from "react";
import { PropertyPicker } from "../filters/property-picker";
import { type FieldProps, faultAt, useForm } from "./context";
import { useHead } from "./head";
import { optionHelp } from "./layout";
import { humane, type Shape } from "./schema";
import { windowOf, windowText } from "./windows";

type Of<Is extends Shape["is"]> = FieldProps & { shape: Extract<Shape, { is: Is }> };

/** More letters than this do not stand beside each other in the form. */
const WIDEST = 36;

export function ChoiceField({ shape, value, onChange, place, label, help, required }: Of<"choice">) {
  const { faults } = useForm();
  const error = faultAt(faults, place);
  const chosen = value === undefined || value === null ? shape.schema.default : value;
  const own = optionHelp(help, shape.options);
  const said = own[String(chosen)] ?? help;
  const head = useHead(label, said ? sentence(said) : "");
  const data = shape.options.map((option) => ({ value: option, label: humane(option) }));
  const narrow = data.length <= 4 && data.reduce((letters, option) => letters + option.label.length, 0) <= WIDEST;
  if (narrow && !shape.nullable && chosen !== undefined && chosen !== null)
    return (
      <Input.Wrapper label={head.label} description={head.description} error={error} labelElement="div">
        <SegmentedControl
          aria-label={label}
          data={data}
          value={String(chosen)}
          onChange={onChange}
          fullWidth
          mt={4}
          size="sm"
        />
      </Input.Wrapper>
    );
  return (
    <Select
      label={head.label}
      description={head.description}
      data={data.map((option) => ({ ...option }))}
      value={chosen === undefined || chosen === null ? null : String(chosen)}
      onChange={(option) => onChange(option ?? undefined)}
      placeholder={shape.nullable ? "Not set" : "Choose"}
      clearable={shape.nullable}
      allowDeselect={false}
      searchable={data.length > 10}
      required={required}
      error={error}
    />
  );
}

export function ChoicesField({ shape, value, onChange, place, label, help }: Of<"choices">) {
  const head = useHead(label, help);
  const { faults } = useForm();
  const chosen = Array.isArray(value)
    ? value.map(String)
    : value === undefined
      ? ((shape.schema.default as string[] | undefined) ?? [])
      : [String(value)];
  return (
    <MultiSelect
      label={head.label}
      description={head.description}
      data={shape.options.map((option) => ({ value: option, label: humane(option) }))}
      value={chosen}
      onChange={onChange}
      maxValues={shape.schema.maxItems ?? 100}
      error={faultAt(faults, place, true)}
    />
  );
}

export function NumberField({ shape, value, onChange, place, label, help, required }: Of<"number">) {
  const head = useHead(label, help);
  const { faults } = useForm();
  const { schema } = shape;
  return (
    <NumberInput
      label={head.label}
      description={head.description}
      value={typeof value === "number" ? value : ""}
      placeholder={typeof schema.default === "number" ? String(schema.default) : "Not set"}
      onChange={(number) => onChange(typeof number === "number" ? number : undefined)}
      allowDecimal={!shape.whole}
      {...(schema.minimum === undefined ? {} : { min: schema.minimum })}
      {...(schema.maximum === undefined ? {} : { max: schema.maximum })}
      step={shape.whole ? 1 : 0.05}
      required={required}
      error={faultAt(faults, place)}
    />
  );
}

export function SwitchField({ shape, value, onChange, place, label, help }: Of<"switch">) {
  const head = useHead(label, help);
  const { faults } = useForm();
  return (
    <Switch
      label={head.label}
      description={head.description}
      checked={Boolean(value ?? shape.schema.default ?? false)}
      onChange={(event) => onChange(event.currentTarget.checked)}
      error={faultAt(faults, place)}
    />
  );
}

export function TextField({ shape, value, onChange, place, label, help, required }: Of<"text" | "word">) {
  const head = useHead(label, help);
  const { faults } = useForm();
  const example = shape.schema.examples?.[0];
  const normal = typeof shape.schema.default === "string" && shape.schema.default ? shape.schema.default : "";
  const formula = place === "formula" || place.endsWith(".formula");
  return (
    <TextInput
      label={head.label}
      description={head.description}
      value={value === undefined || value === null ? "" : String(value)}
      placeholder={normal || (typeof example === "string" ? `Such as ${example}` : "")}
      onChange={(event) => onChange(written(event.currentTarget.value, shape.is === "word"))}
      {...(shape.schema.maxLength === undefined ? {} : { maxLength: shape.schema.maxLength })}
      {...(formula ? { styles: MONOSPACE, spellCheck: false } : {})}
      required={required}
      error={faultAt(faults, place)}
    />
  );
}

const MONOSPACE = { input: { fontFamily: "var(--mantine-font-family-monospace)" } };

/** Where a text or a number will do, digits alone are a number. */
function written(text: string, word: boolean): string | number | undefined {
  if (text === "") return undefined;
  return word && /^-?\d+$/.test(text.trim()) ? Number(text) : text;
}

export function TextsField({ shape, value, onChange, place, label, help }: Of<"texts">) {
  const head = useHead(label, help);
  const { faults } = useForm();
  const given = (value ?? shape.schema.default ?? []) as unknown;
  const texts = (Array.isArray(given) ? given : [given]).map(String);
  const take = (next: string[]) =>
    onChange(next.length === 0 ? undefined : shape.numbers ? next.map(Number).filter(Number.isFinite) : next);
  return (
    <TagsInput
      label={head.label}
      description={head.description}
      placeholder={texts.length ? "" : "Type and press Enter"}
      value={texts}
      onChange={take}
      acceptValueOnBlur
      splitChars={shape.numbers ? [",", " "] : [","]}
      error={faultAt(faults, place, true)}
    />
  );
}

const UNITS = ["second", "minute", "hour", "day", "week", "month"];

export function WindowField({ shape, value, onChange, place, label, help }: Of<"window">) {
  const head = useHead(label, help);
  const { faults } = useForm();
  const normal = windowOf(shape.schema.default);
  const given = windowOf(value);
  const [unit, setUnit] = useState(given?.unit ?? normal?.unit ?? windowOf(shape.schema.examples?.[0])?.unit ?? "day");
  const shown = given?.unit ?? unit;
  return (
    <Input.Wrapper
      label={head.label}
      description={head.description}
      error={faultAt(faults, place, true)}
      labelElement="div"
    >
      <Group gap="sm" wrap="nowrap" mt={4}>
        <NumberInput
          aria-label={`${label}, how many`}
          value={given?.value ?? ""}
          placeholder={normal ? String(normal.value) : "Not set"}
          onChange={(count) => onChange(typeof count === "number" && count > 0 ? windowText(count, shown) : undefined)}
          min={0}
          flex={1}
        />
        <NativeSelect
          aria-label={`${label}, of what`}
          data={UNITS.map((one) => ({ value: one, label: `${one}s` }))}
          value={shown}
          onChange={(event) => {
            setUnit(event.currentTarget.value);
            const count = given?.value ?? normal?.value;
            if (count) onChange(windowText(count, event.currentTarget.value));
          }}
          flex={1}
        />
      </Group>
    </Input.Wrapper>
  );
}

export function PropertyField({ shape, value, onChange, place, label, help, required }: Of<"property">) {
  const head = useHead(label, help);
  const { project, faults } = useForm();
  const text = typeof value === "string" ? value : "";
  const normal = typeof shape.schema.default === "string" ? shape.schema.default : "";
  return (
    <Input.Wrapper
      label={head.label}
      description={head.description}
      required={required}
      error={faultAt(faults, place)}
      labelElement="div"
    >
      <PropertyPicker
        project={project}
        label={label}
        placeholder={normal || "Choose a property"}
        value={text ? { property: text, of: "event" } : null}
        onChange={(picked) => onChange(picked.property)}
        onClear={required ? undefined : () => onChange(undefined)}
      />
    </Input.Wrapper>
  );
}

/** What no widget knows: as JSON; anything else is a text. */
export function AnythingField({ value, onChange, place, label, help }: FieldProps) {
  const head = useHead(label, help);
  const { faults } = useForm();
  const [text, setText] = useState(() => anyText(value));
  return (
    <Textarea
      label={head.label}
      description={head.description}
      placeholder="Text, a number, or JSON"
      value={text}
      autosize
      minRows={1}
      maxRows={12}
      onChange={(event) => {
        setText(event.currentTarget.value);
        onChange(anyValue(event.currentTarget.value));
      }}
      error={faultAt(faults, place, true)}
    />
  );
}

export const anyText = (value: unknown): string =>
  value === undefined ? "" : typeof value === "string" ? value : JSON.stringify(value);

export function anyValue(text: string): unknown {
  if (text.trim() === "") return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

const sentence = (text: string): string =>
  `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.]$/.test(text) ? "" : "."}`;
