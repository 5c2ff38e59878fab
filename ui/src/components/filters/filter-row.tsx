/** One condition: a property, how it is compared, and with what; or a segment. */

import { ActionIcon, NativeSelect, TextInput, Tooltip } from "@mantine/core";
import { IconX } from "@tabler/icons-react";
import type { ReactNode } from "react";
import { useDefinitions, useProperties } from "../../api/catalog";
import type { Condition } from "../../api/types";
import { Pick } from "../pick";
import {
  type Of,
  OPERATORS,
  type PropertyFilter,
  propertyOf,
  valueKind,
  wantsNothing,
  withOperator,
} from "./conditions";
import classes from "./filters.module.css";
import { PropertyPicker } from "./property-picker";
import { ValuePicker } from "./value-picker";

export interface RowProps {
  project: string;
  event?: string;
  owners: readonly Of[];
  value: Condition;
  onChange: (condition: Condition) => void;
  /** None: it cannot be taken away. */
  onRemove?: (() => void) | undefined;
  /** What the server has against the field of this name. */
  errorAt?: (field: string) => string;
  autoFocus?: boolean;
}

export function FilterRow({
  project,
  event = "",
  owners,
  value,
  onChange,
  onRemove,
  errorAt = () => "",
  autoFocus = false,
}: RowProps) {
  const filter = value as PropertyFilter;
  const property = propertyOf(filter);
  const of = (filter.of ?? owners[0] ?? "event") as Of;
  const op = filter.op ?? "=";
  const known = useProperties(project, event);
  const kind = valueKind(property, of, known.data ?? []);
  return (
    <div className={classes.row}>
      <div className={classes.property}>
        <PropertyPicker
          project={project}
          event={event}
          owners={owners}
          value={property ? { property, of } : null}
          onChange={(picked) => onChange(withProperty(filter, picked.property, picked.of, owners))}
          error={errorAt("property")}
          autoFocus={autoFocus}
        />
      </div>
      {of === "group" && (
        <TextInput
          className={classes.alone ?? ""}
          aria-label="Type of the group"
          placeholder="Type, such as company"
          value={filter.group_type ?? ""}
          onChange={(change) => onChange({ ...filter, group_type: change.currentTarget.value })}
          error={errorAt("group_type")}
        />
      )}
      {property && (
        <NativeSelect
          className={(wantsNothing(op) ? classes.alone : classes.operator) ?? ""}
          aria-label="How to compare"
          data={Object.entries(OPERATORS).map(([name, label]) => ({ value: name, label }))}
          value={op}
          onChange={(change) => onChange(withOperator(filter, change.currentTarget.value))}
          error={errorAt("op")}
        />
      )}
      {property && !wantsNothing(op) && (
        <div className={classes.value}>
          <ValuePicker
            project={project}
            property={of === "event" ? property : ""}
            event={event}
            op={op}
            kind={kind}
            value={filter.value}
            onChange={(next) => onChange(withValue(filter, next))}
            error={errorAt("value")}
          />
        </div>
      )}
      {onRemove && <Remove what={property ? `the filter on ${property}` : "this filter"} onRemove={onRemove} />}
    </div>
  );
}

/** People in a saved segment. One that is written out stays as it is: `other` shows it. */
export function SegmentRow({
  project,
  value,
  onChange,
  onRemove,
  errorAt = () => "",
  other,
}: RowProps & { other?: ReactNode }) {
  const saved = useDefinitions(project, "segment");
  const options = (saved.data ?? []).map((one) => ({ value: one.name, label: one.name }));
  const own = value.segment !== null && typeof value.segment === "object";
  return (
    <div className={classes.row}>
      <div className={`${classes.property} ${classes.segment}`}>
        <span className={classes.word}>People in</span>
        <div>
          <Pick
            label="Segment"
            placeholder="Choose a segment"
            shown={
              own
                ? String((value.segment as { name?: string }).name || "A segment of its own")
                : String(value.segment ?? "")
            }
            groups={[{ label: "Saved segments", options }]}
            loading={saved.isPending}
            nothing="No segment is saved yet; they are made under Data"
            onPick={(segment) => onChange({ ...value, segment })}
            error={errorAt("segment")}
          />
        </div>
      </div>
      <TextInput
        className={classes.alone ?? ""}
        aria-label="At which moment"
        placeholder="When the range ends, or 2026-01-31"
        value={String(value.at ?? "")}
        onChange={(change) => {
          const { at: _at, ...rest } = value;
          onChange(change.currentTarget.value ? { ...rest, at: change.currentTarget.value } : rest);
        }}
        error={errorAt("at")}
      />
      {onRemove && <Remove what="the segment" onRemove={onRemove} />}
      {own && <div className={classes.alone}>{other}</div>}
    </div>
  );
}

export function Remove({ what, onRemove }: { what: string; onRemove: () => void }) {
  return (
    <Tooltip label={`Remove ${what}`}>
      <ActionIcon
        variant="subtle"
        color="gray"
        size="lg"
        onClick={onRemove}
        aria-label={`Remove ${what}`}
        className={classes.remove ?? ""}
      >
        <IconX size={16} />
      </ActionIcon>
    </Tooltip>
  );
}

/** Another property has other values: what it is compared with begins anew. */
function withProperty(filter: PropertyFilter, property: string, of: Of, owners: readonly Of[]): Condition {
  const { prop: _prop, value: _value, of: _of, group_type, ...rest } = filter;
  return {
    ...rest,
    property,
    ...(of === (owners[0] ?? "event") && of === "event" ? {} : { of }),
    ...(of === "group" && group_type ? { group_type } : {}),
  };
}

function withValue(filter: PropertyFilter, value: unknown): Condition {
  const { value: _value, ...rest } = filter;
  return value === undefined ? rest : { ...rest, value };
}
