/** Chooses a property: of the events, a built-in column, or of the person or group that an event names. */

import type { ReactNode } from "react";
import { useProperties } from "../../api/catalog";
import type { Property } from "../../api/types";
import { Pick, type PickGroup, type PickOption } from "../pick";
import { type Of, propertyWords } from "./conditions";

/** Columns that every event has, those that people ask for first. */
const BUILT_IN =
  "channel utm_source utm_medium utm_campaign utm_term utm_content referrer_host referrer path url host title screen country region city browser browser_version os os_version device revenue currency event kind user_id distinct_id session_id is_bot library protocol violations".split(
    " ",
  );

export interface PickedProperty {
  property: string;
  of: Of;
}

interface Props {
  project: string;
  /** Properties of this event come alone; "": of all events. */
  event?: string;
  value: PickedProperty | null;
  onChange: (picked: PickedProperty) => void;
  label?: string;
  placeholder?: string;
  /** Whose properties can be chosen; the event's always. */
  owners?: readonly Of[];
  error?: ReactNode;
  autoFocus?: boolean;
  onClear?: (() => void) | undefined;
}

export function PropertyPicker({
  project,
  event = "",
  value,
  onChange,
  label = "Property",
  placeholder = "Choose a property",
  owners = ["event"],
  error,
  autoFocus = false,
  onClear,
}: Props) {
  const known = useProperties(project, event);
  const groups: PickGroup[] = owners.includes("event")
    ? [
        { label: event ? `Properties of ${event}` : "Properties", options: named(known.data ?? []) },
        {
          label: "Built in",
          options: BUILT_IN.map((name) => ({
            value: `event:@${name}`,
            label: propertyWords(`@${name}`),
            about: `@${name}`,
          })),
        },
      ]
    : [];
  const typed = (text: string): PickOption[] =>
    owners.map((of) => ({ value: `${of}:${text}`, label: `“${text}”`, about: `of the ${of}` }));
  return (
    <Pick
      label={label}
      placeholder={placeholder}
      shown={value ? `${value.of === "event" ? "" : `${value.of}’s `}${propertyWords(value.property)}` : ""}
      groups={groups}
      loading={known.isPending}
      nothing="Type its name"
      typed={typed}
      error={error}
      autoFocus={autoFocus}
      onClear={onClear}
      onPick={(picked) => {
        const cut = picked.indexOf(":");
        onChange({ of: picked.slice(0, cut) as Of, property: picked.slice(cut + 1) });
      }}
    />
  );
}

/** One option a property, with its types. */
function named(known: Property[]): PickOption[] {
  const types = new Map<string, string[]>();
  for (const { property, type } of known) types.set(property, [...(types.get(property) ?? []), typeWord(type)]);
  return [...types].map(([property, words]) => ({
    value: `event:${property}`,
    label: property,
    about: [...new Set(words)].join(", "),
  }));
}

function typeWord(type: string): string {
  if (/Int|Float|Decimal/.test(type)) return /Array/.test(type) ? "list" : "number";
  if (/Bool/.test(type)) return "true or false";
  return /Array/.test(type) ? "list" : /Date/.test(type) ? "time" : "text";
}
