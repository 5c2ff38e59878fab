/** What a project saved under names: the list at the left, one of them at the right. */

import { Button, Group, Stack, Text, TextInput, UnstyledButton } from "@mantine/core";
import { IconSearch } from "@tabler/icons-react";
import { type ReactNode, useState } from "react";
import { type DefinitionKind, useDefinition, useDefinitions } from "../../api/catalog";
import { ApiError } from "../../api/errors";
import { atLeast } from "../../api/me";
import type { Definition, Row } from "../../api/types";
import { Empty, ErrorNote, RowsSkeleton } from "../../components/states";
import { useProject, useUrlValue } from "../../state/url";
import classes from "./data.module.css";
import { Editor, type FormOf } from "./editor";

export interface DefinitionsProps {
  kind: DefinitionKind;
  noun: string;
  /** Where there is none yet: what it is for. */
  teaches: ReactNode;
  /** What a new one begins as. */
  fresh: Row;
  form?: FormOf;
  /** What names may be chosen; left out: any. */
  names?: string[];
  /** Beside the name in the list. */
  hint?: (item: Definition) => string;
  /** Under the list's head. */
  more?: ReactNode;
  /** Below a saved one. */
  children?: (item: Definition) => ReactNode;
}

export function Definitions(props: DefinitionsProps) {
  const { kind, noun, teaches, hint, more } = props;
  const project = useProject();
  const may = atLeast(project.role, "analyst");
  const [name, setName] = useUrlValue("name", "");
  const [making, setMaking] = useState(false);
  const [search, setSearch] = useState("");
  const list = useDefinitions(project.id, kind);
  if (list.error) return <ErrorNote error={list.error} onRetry={() => void list.refetch()} />;
  if (!list.data) return <RowsSkeleton rows={8} />;
  const make = (
    <Button
      onClick={() => setMaking(true)}
      disabled={!may}
      title={may ? "" : `Analysts, admins and owners save ${noun}s.`}
    >
      New {noun}
    </Button>
  );
  if (list.data.length === 0 && !making)
    return (
      <>
        {more}
        <Empty title={`There is no ${noun} yet`} action={make}>
          {teaches}
        </Empty>
      </>
    );
  const wanted = search.trim().toLowerCase();
  const shown = list.data.filter((item) => item.name.toLowerCase().includes(wanted));
  const chosen = making ? "" : name || (list.data[0]?.name ?? "");
  const choose = (next: string) => {
    setMaking(false);
    setName(next);
  };
  return (
    <>
      {more}
      <div className={classes.two}>
        <Stack gap="sm">
          {make}
          {list.data.length > 8 && (
            <TextInput
              aria-label={`Search ${noun}s`}
              placeholder="Search"
              leftSection={<IconSearch size={16} aria-hidden />}
              value={search}
              onChange={(event) => setSearch(event.currentTarget.value)}
            />
          )}
          <Stack
            gap={2}
            component="nav"
            aria-label={`${noun}s`}
            mah="calc(100vh - 320px)"
            style={{ overflowY: "auto" }}
          >
            {shown.map((item) => (
              <UnstyledButton
                key={item.name}
                className={classes.item}
                aria-current={item.name === chosen}
                onClick={() => choose(item.name)}
              >
                <Text truncate fw={500} title={item.name} dir="auto">
                  {item.name}
                </Text>
                {hint && (
                  <Text truncate size="sm" c="dimmed">
                    {hint(item)}
                  </Text>
                )}
              </UnstyledButton>
            ))}
            {wanted && shown.length === 0 && <Text c="dimmed">None holds that text.</Text>}
          </Stack>
        </Stack>
        {making ? (
          <Editor key="new" {...props} saved={null} onSaved={choose} onGone={() => setMaking(false)} />
        ) : (
          <One key={chosen} name={chosen} onChoose={choose} {...props} />
        )}
      </div>
    </>
  );
}

function One({ name, onChoose, ...props }: DefinitionsProps & { name: string; onChoose: (name: string) => void }) {
  const { id } = useProject();
  const item = useDefinition(id, props.kind, name);
  if (item.error instanceof ApiError && item.error.code === "not_found")
    return (
      <Empty
        title={`There is no ${props.noun} ${name}`}
        action={<Button onClick={() => onChoose("")}>Show the first</Button>}
      >
        It may have been removed or renamed.
      </Empty>
    );
  if (item.error) return <ErrorNote error={item.error} onRetry={() => void item.refetch()} />;
  if (!item.data) return <RowsSkeleton rows={8} />;
  return (
    <Stack gap="lg" miw={0}>
      <Editor key={item.data.version} {...props} saved={item.data} onSaved={onChoose} onGone={() => onChoose("")} />
      {props.children && (
        <Group display="block" miw={0}>
          {props.children(item.data)}
        </Group>
      )}
    </Stack>
  );
}
