/** The value that a property is compared with; the most frequent ones are suggested. */

import { Autocomplete, NumberInput, Select, TagsInput, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { type ReactNode, useState } from "react";
import { usePropertyValues } from "../../api/catalog";
import { asValue, type ValueKind, wantsList } from "./conditions";

interface Props {
  project: string;
  /** Whose values are suggested; "" suggests none (people's and groups' are not listed). */
  property: string;
  event?: string;
  op: string;
  kind: ValueKind;
  value: unknown;
  onChange: (value: unknown) => void;
  error?: ReactNode;
}

export function ValuePicker({ project, property, event = "", op, kind, value, onChange, error }: Props) {
  const [search, setSearch] = useState("");
  const [wanted] = useDebouncedValue(search, 200);
  const free = op === "matches";
  const found = usePropertyValues(project, kind === "text" && !free ? property : "", event, wanted);
  const suggested = [...new Set((found.data ?? []).map((one) => String(one.value)).filter((one) => one !== ""))];
  if (wantsList(op))
    return (
      <TagsInput
        aria-label="Values"
        placeholder={Array.isArray(value) && value.length ? "" : "Values"}
        data={suggested}
        value={Array.isArray(value) ? value.map(String) : []}
        onChange={(texts) => onChange(texts.map((text) => asValue(text, kind)))}
        onSearchChange={setSearch}
        splitChars={[]}
        acceptValueOnBlur
        styles={{ inputField: { minWidth: 48 } }}
        error={error}
      />
    );
  if (kind === "truth" && (op === "=" || op === "!="))
    return (
      <Select
        aria-label="Value"
        placeholder="Value"
        data={["true", "false"]}
        value={value === undefined || value === null ? null : String(value)}
        onChange={(text) => text !== null && onChange(text === "true")}
        allowDeselect={false}
        error={error}
      />
    );
  const comparing = [">", ">=", "<", "<="].includes(op);
  if (kind === "number" && (comparing || op === "=" || op === "!=") && typeof value !== "string")
    return (
      <NumberInput
        aria-label="Value"
        placeholder="Number"
        value={typeof value === "number" ? value : ""}
        onChange={(number) => onChange(typeof number === "number" ? number : undefined)}
        error={error}
      />
    );
  // What is compared by size may be a time, which is text; a text of digits alone is meant as a number.
  const taken = (text: string) => (text === "" ? undefined : asValue(text, comparing ? "number" : kind));
  const shown = value === undefined || value === null || Array.isArray(value) ? "" : String(value);
  if (free)
    return (
      <TextInput
        aria-label="Regular expression"
        placeholder="^/shop/.*"
        ff="monospace"
        value={shown}
        onChange={(event) => onChange(event.currentTarget.value || undefined)}
        error={error}
      />
    );
  return (
    <Autocomplete
      aria-label="Value"
      placeholder="Value"
      data={suggested}
      // The server has searched already, in any part of the value.
      filter={({ options }) => options}
      limit={50}
      value={shown}
      onChange={(text) => {
        setSearch(text);
        onChange(taken(text));
      }}
      error={error}
    />
  );
}
