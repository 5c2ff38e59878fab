/** The filters of a page as chips: click one to change it, its cross to take it away. Only complete conditions come out. */

import { Button, Group, Popover, Stack, UnstyledButton } from "@mantine/core";
import { IconFilter, IconX } from "@tabler/icons-react";
import { useState } from "react";
import type { Condition } from "../../api/types";
import { useKeys } from "../keys";
import { conditionWords, formOf, isComplete } from "./conditions";
import { FilterBuilder } from "./filter-builder";
import { FilterRow, SegmentRow } from "./filter-row";
import classes from "./filters.module.css";

const OWNERS = ["event", "person", "group"] as const;

interface Props {
  project: string;
  value: Condition[];
  onChange: (conditions: Condition[]) => void;
  event?: string;
  /** False: they are only shown. */
  editable?: boolean;
}

export function FilterChips({ project, value, onChange, event = "", editable = true }: Props) {
  const { keys, removed } = useKeys(value.length);
  return (
    <Group gap="sm" role="group" aria-label="Filters">
      {value.map((condition, place) => (
        <Chip
          key={keys[place]}
          project={project}
          event={event}
          value={condition}
          editable={editable}
          onChange={(next) => onChange(value.map((one, at) => (at === place ? next : one)))}
          onRemove={() => {
            removed(place);
            onChange(value.filter((_, at) => at !== place));
          }}
        />
      ))}
      {editable && <Add project={project} event={event} onAdd={(condition) => onChange([...value, condition])} />}
      {editable && value.length > 1 && (
        <Button variant="subtle" color="gray" size="compact-sm" onClick={() => onChange([])}>
          Clear
        </Button>
      )}
    </Group>
  );
}

type ChipProps = {
  project: string;
  event: string;
  value: Condition;
  editable: boolean;
  onChange: (condition: Condition) => void;
  onRemove: () => void;
};

function Chip({ project, event, value, editable, onChange, onRemove }: ChipProps) {
  const [opened, setOpened] = useState(false);
  const words = conditionWords(value);
  if (!editable)
    return (
      <span className={classes.chip}>
        <span className={classes.said} style={{ paddingRight: 10 }} title={words}>
          {words}
        </span>
      </span>
    );
  return (
    <span className={classes.chip}>
      <Popover
        opened={opened}
        onChange={setOpened}
        position="bottom-start"
        trapFocus
        returnFocus
        shadow="sm"
        width={420}
      >
        <Popover.Target>
          <UnstyledButton
            className={classes.said ?? ""}
            onClick={() => setOpened(!opened)}
            title={words}
            aria-label={`Change the filter: ${words}`}
          >
            {words}
          </UnstyledButton>
        </Popover.Target>
        <Popover.Dropdown maw="calc(100vw - 32px)">
          <Editor
            project={project}
            event={event}
            initial={value}
            verb="Change the filter"
            onTake={(next) => {
              setOpened(false);
              onChange(next);
            }}
          />
        </Popover.Dropdown>
      </Popover>
      <UnstyledButton className={classes.gone ?? ""} onClick={onRemove} aria-label={`Remove the filter: ${words}`}>
        <IconX size={14} aria-hidden />
      </UnstyledButton>
    </span>
  );
}

function Add({ project, event, onAdd }: { project: string; event: string; onAdd: (condition: Condition) => void }) {
  const [opened, setOpened] = useState(false);
  return (
    <Popover opened={opened} onChange={setOpened} position="bottom-start" trapFocus returnFocus shadow="sm" width={420}>
      <Popover.Target>
        <Button
          variant="default"
          fw={400}
          leftSection={<IconFilter size={16} aria-hidden />}
          onClick={() => setOpened(!opened)}
        >
          Filter
        </Button>
      </Popover.Target>
      <Popover.Dropdown maw="calc(100vw - 32px)">
        <Editor
          project={project}
          event={event}
          initial={{ property: "" }}
          verb="Add the filter"
          onTake={(condition) => {
            setOpened(false);
            onAdd(condition);
          }}
        />
      </Popover.Dropdown>
    </Popover>
  );
}

/** Works on a copy: what is not complete never leaves it. */
function Editor({
  project,
  event,
  initial,
  verb,
  onTake,
}: {
  project: string;
  event: string;
  initial: Condition;
  verb: string;
  onTake: (condition: Condition) => void;
}) {
  const [draft, setDraft] = useState(initial);
  const form = formOf(draft);
  const shared = { project, event, owners: OWNERS, value: draft, onChange: setDraft };
  const switched = form === "segment" ? { property: "" } : { segment: "" };
  return (
    <form
      onSubmit={(submitted) => {
        submitted.preventDefault();
        submitted.stopPropagation();
        if (isComplete(draft)) onTake(draft);
      }}
    >
      <Stack gap="md">
        {form === "segment" && <SegmentRow {...shared} />}
        {form === "filter" && <FilterRow {...shared} autoFocus />}
        {form === "group" && (
          <FilterBuilder
            project={project}
            event={event}
            value={[draft]}
            onChange={(list) => setDraft(list.length === 1 ? (list[0] as Condition) : { all: list })}
          />
        )}
        <Group justify="space-between">
          {form === "group" ? (
            <span />
          ) : (
            <Button variant="subtle" size="compact-sm" onClick={() => setDraft(switched)}>
              {form === "segment" ? "By a property instead" : "By a segment instead"}
            </Button>
          )}
          <Button type="submit" disabled={!isComplete(draft)}>
            {verb}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
