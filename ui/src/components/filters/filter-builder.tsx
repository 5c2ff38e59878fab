/** A list of conditions that all have to hold, with groups of them ("any of") and segments within. */

import { Button, Group, Menu, NativeSelect, Stack } from "@mantine/core";
import { IconChevronDown, IconPlus } from "@tabler/icons-react";
import type { ReactNode } from "react";
import type { Condition } from "../../api/types";
import { useKeys } from "../keys";
import { formOf, GROUP_WORDS, type GroupWord, groupWord, type Of } from "./conditions";
import { FilterRow, Remove, SegmentRow } from "./filter-row";
import classes from "./filters.module.css";

const OWNERS: readonly Of[] = ["event", "person", "group"];

interface Props {
  project: string;
  value: Condition[];
  /** Also told of conditions that are not complete yet: see `isComplete`. */
  onChange: (conditions: Condition[]) => void;
  /** Whose properties and values are suggested. */
  event?: string;
  owners?: readonly Of[];
  /** What the server has against the place below this list, such as "0.value". */
  errorAt?: (place: string) => string;
  /** How a segment that is written out is shown and changed. */
  ownSegment?: (segment: unknown, onChange: (segment: unknown) => void, place: string) => ReactNode;
  label?: string;
  /** Stands beside the button that adds one. */
  tail?: ReactNode;
  depth?: number;
}

export function FilterBuilder({
  project,
  value,
  onChange,
  event = "",
  owners = OWNERS,
  errorAt = () => "",
  ownSegment,
  label = "filter",
  tail,
  depth = 0,
}: Props) {
  const { keys, added, removed } = useKeys(value.length);
  const put = (place: number, condition: Condition) =>
    onChange(value.map((one, at) => (at === place ? condition : one)));
  const add = (condition: Condition) => {
    added();
    onChange([...value, condition]);
  };
  const remove = (place: number) => {
    removed(place);
    onChange(value.filter((_, at) => at !== place));
  };
  return (
    <Stack gap="sm">
      {value.map((condition, place) => {
        const shared = {
          project,
          event,
          owners,
          value: condition,
          onChange: (next: Condition) => put(place, next),
          onRemove: () => remove(place),
        };
        const below = (field: string) => errorAt(`${place}.${field}`);
        const form = formOf(condition);
        if (form === "segment")
          return (
            <SegmentRow
              key={keys[place]}
              {...shared}
              errorAt={below}
              other={ownSegment?.(
                condition.segment,
                (segment) => put(place, { ...condition, segment }),
                `${place}.segment`,
              )}
            />
          );
        if (form === "group")
          return <GroupOf key={keys[place]} {...shared} errorAt={below} ownSegment={ownSegment} depth={depth} />;
        return <FilterRow key={keys[place]} {...shared} errorAt={below} />;
      })}
      <Group gap={0}>
        <Button
          size="compact-sm"
          variant="subtle"
          leftSection={<IconPlus size={14} aria-hidden />}
          onClick={() => add({ property: "" })}
        >
          Add {label}
        </Button>
        <Menu position="bottom-start">
          <Menu.Target>
            <Button size="compact-sm" variant="subtle" px={6} aria-label="Add a group or a segment">
              <IconChevronDown size={14} aria-hidden />
            </Button>
          </Menu.Target>
          <Menu.Dropdown>
            <Menu.Item onClick={() => add({ segment: "" })}>People in a segment</Menu.Item>
            {depth < 3 && (
              <Menu.Item onClick={() => add({ any: [{ property: "" }] })}>Any of several filters</Menu.Item>
            )}
            {depth < 3 && (
              <Menu.Item onClick={() => add({ not: [{ property: "" }] })}>None of several filters</Menu.Item>
            )}
          </Menu.Dropdown>
        </Menu>
        {tail}
      </Group>
    </Stack>
  );
}

type GroupProps = {
  project: string;
  event: string;
  owners: readonly Of[];
  value: Condition;
  onChange: (condition: Condition) => void;
  onRemove: () => void;
  errorAt: (place: string) => string;
  ownSegment: Props["ownSegment"];
  depth: number;
};

/** One list of a group is shown at a time; the others, which only a written question has, stay as they are below it. */
function GroupOf({ value, onChange, onRemove, errorAt, depth, ownSegment, ...rest }: GroupProps) {
  const words = (["all", "any", "not"] as const).filter((word) => word in value);
  const become = (before: GroupWord, after: GroupWord) => {
    const { [before]: list, ...others } = value;
    onChange({
      ...others,
      [after]: [...((others[after] as Condition[] | undefined) ?? []), ...((list as Condition[]) ?? [])],
    });
  };
  return (
    <Stack gap="sm" className={classes.group ?? ""}>
      {words.map((word) => (
        <Stack gap="sm" key={word}>
          <Group gap="sm" wrap="nowrap" justify="space-between">
            <NativeSelect
              aria-label="How the group’s filters go together"
              data={Object.entries(GROUP_WORDS).map(([name, text]) => ({ value: name, label: `${text} these` }))}
              value={word}
              onChange={(change) => become(word, change.currentTarget.value as GroupWord)}
            />
            {word === groupWord(value) && <Remove what="the group" onRemove={onRemove} />}
          </Group>
          <FilterBuilder
            {...rest}
            value={(value[word] as Condition[] | undefined) ?? []}
            onChange={(list) => onChange({ ...value, [word]: list })}
            errorAt={(place) => errorAt(`${word}.${place}`)}
            {...(ownSegment ? { ownSegment } : {})}
            depth={depth + 1}
          />
        </Stack>
      ))}
    </Stack>
  );
}
