/** Chooses an event by its name, any event, or a saved metric whose events are meant. */

import type { ReactNode } from "react";
import { useDefinitions, useEventNames } from "../api/catalog";
import { short } from "../format";
import { Pick, type PickGroup, type PickOption } from "./pick";

/** Events of one name, of any name (`event: null`), or those of a saved metric. */
export type Picked = { event: string | null } | { metric: string };

interface Props {
  project: string;
  /** Null: nothing is chosen yet. */
  value: Picked | null;
  onChange: (picked: Picked) => void;
  label?: string;
  placeholder?: string;
  /** Whether "any event" is one of the choices. */
  any?: boolean;
  /** Whether saved metrics are. */
  metrics?: boolean;
  /** Further choices of the form that it stands in. */
  others?: PickOption[];
  onOther?: (value: string) => void;
  error?: ReactNode;
  autoFocus?: boolean;
  onClear?: (() => void) | undefined;
}

export function EventPicker({
  project,
  value,
  onChange,
  label = "Event",
  placeholder = "Choose an event",
  any = true,
  metrics = true,
  others = [],
  onOther,
  error,
  autoFocus = false,
  onClear,
}: Props) {
  const events = useEventNames(project);
  const saved = useDefinitions(project, "metric");
  const names = (events.data ?? []).map((one) => ({
    value: `e:${one.event}`,
    label: one.event,
    about: short(one.count),
  }));
  const groups: PickGroup[] = [
    { label: "Events", options: [...(any ? [{ value: "any", label: "Any event" }] : []), ...names] },
    {
      label: "Saved metrics",
      options: metrics ? (saved.data ?? []).map((one) => ({ value: `m:${one.name}`, label: one.name })) : [],
    },
    { label: "Or", options: others.map((one) => ({ ...one, value: `o:${one.value}` })) },
  ];
  return (
    <Pick
      label={label}
      placeholder={placeholder}
      shown={shownOf(value)}
      groups={groups}
      loading={events.isPending}
      nothing="No event has come in yet"
      typed={(text) => [{ value: `e:${text}`, label: `“${text}”`, about: "not seen yet" }]}
      error={error}
      autoFocus={autoFocus}
      onClear={onClear}
      onPick={(picked) => {
        const name = picked.slice(2);
        if (picked === "any") onChange({ event: null });
        else if (picked.startsWith("o:")) onOther?.(name);
        else onChange(picked.startsWith("m:") ? { metric: name } : { event: name });
      }}
    />
  );
}

function shownOf(value: Picked | null): string {
  if (!value) return "";
  if ("metric" in value) return value.metric;
  return value.event ?? "Any event";
}
