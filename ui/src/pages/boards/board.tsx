/** One board: to look at, to choose by, and, for those who may, to work on. */

import { ActionIcon, Alert, Button, Group, Menu, Switch, Text, TextInput, Title, Tooltip } from "@mantine/core";
import { useFullscreenElement, useHotkeys, useMediaQuery } from "@mantine/hooks";
import {
  IconArrowBackUp,
  IconArrowForwardUp,
  IconDots,
  IconHistory,
  IconMaximize,
  IconPencil,
  IconShare,
} from "@tabler/icons-react";
import { useCallback, useEffect, useMemo, useState } from "react";
import { useParams } from "react-router";
import { useKinds } from "../../api/ask";
import { useDefinitions } from "../../api/catalog";
import { useLiveState } from "../../api/live";
import { atLeast } from "../../api/me";
import type { Condition, Question, Range } from "../../api/types";
import { FilterChips } from "../../components/filters/filter-chips";
import { RangePicker } from "../../components/range-picker";
import { Empty, ErrorNote, RowsSkeleton } from "../../components/states";
import { useProject, useUrlValue } from "../../state/url";
import classes from "./boards.module.css";
import { Grid } from "./grid";
import { History } from "./history";
import {
  added,
  type Board,
  changedTile,
  columnsOf,
  doubled,
  effective,
  type Tile,
  type View,
  withoutTile,
} from "./model";
import { Share } from "./share";
import { TileBody } from "./tile-body";
import { TileCard } from "./tile-card";
import { type Draft, TileEditor } from "./tile-editor";
import { useBoard } from "./use-board";

const NEW_TILE: Draft = { type: "question" };

export function Component() {
  const { name = "" } = useParams();
  const project = useProject();
  return <BoardPage key={`${project.id} ${name}`} name={name} />;
}

function BoardPage({ name }: { name: string }) {
  const project = useProject();
  const work = useBoard(project.id, name);
  const { definition, saved, draft, begin } = work;
  const [wantsEdit, setWantsEdit] = useUrlValue<boolean>("edit", false);
  const [range, setRange] = useUrlValue<Range | null>("range", null);
  const [filters, setFilters] = useUrlValue<Condition[]>("filters", []);
  const [compare, setCompare] = useUrlValue<boolean | null>("compare", null);
  const [edited, setEdited] = useState<{ id: string; tile: Draft } | null>(null);
  const [sharing, setSharing] = useState(false);
  const [history, setHistory] = useState(false);
  const { ref: full, toggle, fullscreen } = useFullscreenElement<HTMLDivElement>();
  const phone = useMediaQuery("(max-width: 48em)") ?? false;
  const may = atLeast(project.role, "analyst");
  const editing = draft !== null;
  useHotkeys([
    ["mod+Z", () => work.undo?.()],
    ["mod+shift+Z", () => work.redo?.()],
    ["mod+S", () => editing && work.save()],
  ]);
  useEffect(() => {
    if (wantsEdit && saved && may) {
      begin();
      setWantsEdit(false);
    }
  }, [wantsEdit, saved, may, begin, setWantsEdit]);

  if (definition.isError) return <ErrorNote error={definition.error} onRetry={() => void definition.refetch()} page />;
  const board = draft ?? saved;
  if (!board) return <RowsSkeleton />;
  const view: View = { range, filters, compare };
  const done = (tile: Draft) => {
    const id = edited?.id;
    work.change((now) => (id ? changedTile(now, id, { ...cleared, ...tile }) : added(now, tile)));
    setEdited(null);
  };
  return (
    <div ref={full} className={fullscreen ? classes.full : undefined}>
      <Group justify="space-between" align="flex-start" mb="sm" gap="sm">
        <div style={{ minWidth: 0 }}>
          {editing ? (
            <TextInput
              aria-label="Title"
              value={board.title ?? name}
              maxLength={200}
              onChange={(event) => {
                const title = event.currentTarget.value;
                work.change((now) => ({ ...now, title }));
              }}
              w={320}
            />
          ) : (
            <Title order={1} style={{ overflowWrap: "anywhere" }}>
              {board.title || name}
            </Title>
          )}
          {board.description && !editing && <Text c="dimmed">{board.description}</Text>}
        </div>
        <Group gap="sm">
          {editing ? (
            <Editing work={work} onAdd={() => setEdited({ id: "", tile: NEW_TILE })} />
          ) : (
            <>
              <LiveSign />
              <Tooltip label="Full screen">
                <ActionIcon variant="default" size="lg" aria-label="Full screen" onClick={() => void toggle()}>
                  <IconMaximize size={18} />
                </ActionIcon>
              </Tooltip>
              <Button
                variant="default"
                leftSection={<IconShare size={16} aria-hidden />}
                onClick={() => setSharing(true)}
              >
                Share
              </Button>
              {may && (
                <Button leftSection={<IconPencil size={16} aria-hidden />} onClick={begin}>
                  {work.waiting ? "Go on editing" : "Edit"}
                </Button>
              )}
              <Menu position="bottom-end">
                <Menu.Target>
                  <ActionIcon variant="default" size="lg" aria-label="More about this board">
                    <IconDots size={18} />
                  </ActionIcon>
                </Menu.Target>
                <Menu.Dropdown>
                  <Menu.Item leftSection={<IconHistory size={16} />} onClick={() => setHistory(true)}>
                    History
                  </Menu.Item>
                </Menu.Dropdown>
              </Menu>
            </>
          )}
        </Group>
      </Group>
      {work.overtaken && (
        <Alert color="yellow" variant="outline" mb="md" title="Somebody saved this board meanwhile">
          <Group>
            <Text>Your changes are kept here. Theirs are in the history, whichever you choose.</Text>
            <Button size="xs" onClick={work.saveOver}>
              Save mine over theirs
            </Button>
            <Button size="xs" variant="default" onClick={work.drop}>
              Take theirs
            </Button>
          </Group>
        </Alert>
      )}
      {work.error && <ErrorNote error={work.error} />}
      <div className={classes.bar}>
        <RangePicker
          value={range ?? board.range ?? {}}
          onChange={(next) => {
            const empty = !next.last && !next.date_from && !next.date_to;
            if (editing) work.change((now) => ({ ...now, range: empty ? null : next }));
            else setRange(empty ? null : next);
          }}
          zone={project.zone}
          weekStart={project.weekStart}
          whenEmpty="Each its own range"
        />
        <FilterChips
          project={project.id}
          value={editing ? (board.filters ?? []) : filters}
          onChange={editing ? (next) => work.change((now) => ({ ...now, filters: next })) : setFilters}
        />
        <Switch
          label="Compare"
          checked={(editing ? board.compare : (compare ?? board.compare)) ?? false}
          onChange={(event) => {
            const on = event.currentTarget.checked;
            if (editing) work.change((now) => ({ ...now, compare: on || null }));
            else setCompare(on === (board.compare ?? false) ? null : on);
          }}
        />
        {editing && (
          <Text c="dimmed" size="sm">
            These hold for everybody who opens the board.
          </Text>
        )}
      </div>
      {board.tiles.length === 0 && (
        <Empty
          title="This board is empty"
          action={
            editing ? (
              <Button onClick={() => setEdited({ id: "", tile: NEW_TILE })}>Add a tile</Button>
            ) : may ? (
              <Button onClick={begin}>Edit the board</Button>
            ) : undefined
          }
        >
          A tile shows a question’s answer, a number, a text, an image, a filter or the latest events.
        </Empty>
      )}
      <Tiles
        name={name}
        board={board}
        view={view}
        editing={editing}
        narrow={phone}
        change={work.change}
        onEdit={(tile) => setEdited({ id: tile.id, tile })}
        onFilter={(condition) =>
          setFilters([...filters.filter((one) => one.property !== condition.property), condition])
        }
        onUnfilter={(property) => setFilters(filters.filter((one) => one.property !== property))}
        onRange={setRange}
      />
      <TileEditor project={project.id} tile={edited?.tile ?? null} onClose={() => setEdited(null)} onDone={done} />
      <Share board={name} opened={sharing} onClose={() => setSharing(false)} may={may} />
      <History
        name={name}
        opened={history}
        onClose={() => setHistory(false)}
        onRestore={
          may
            ? (old) => {
                begin();
                work.change(() => old);
                setHistory(false);
              }
            : null
        }
      />
    </div>
  );
}

/** Fields of a tile that another type may not have. */
const cleared: Partial<Tile> = {
  question: undefined,
  chart: undefined,
  text: undefined,
  image: undefined,
  property: undefined,
  of: undefined,
  group_type: undefined,
  event: undefined,
};

function Editing({ work, onAdd }: { work: ReturnType<typeof useBoard>; onAdd: () => void }) {
  return (
    <>
      <Tooltip label="Undo">
        <ActionIcon variant="default" size="lg" aria-label="Undo" disabled={!work.undo} onClick={() => work.undo?.()}>
          <IconArrowBackUp size={18} />
        </ActionIcon>
      </Tooltip>
      <Tooltip label="Do again">
        <ActionIcon
          variant="default"
          size="lg"
          aria-label="Do again"
          disabled={!work.redo}
          onClick={() => work.redo?.()}
        >
          <IconArrowForwardUp size={18} />
        </ActionIcon>
      </Tooltip>
      <Button variant="default" onClick={onAdd}>
        Add a tile
      </Button>
      <Button variant="default" onClick={work.drop}>
        {work.changed ? "Discard changes" : "Close"}
      </Button>
      <Button onClick={work.save} disabled={!work.changed || work.overtaken} loading={work.saving}>
        Save board
      </Button>
    </>
  );
}

function LiveSign() {
  const state = useLiveState();
  const said = { open: "Live", connecting: "Connecting", waiting: "Waiting for the server", idle: "" }[state];
  return (
    <Text size="sm" c="dimmed" role="status">
      {said}
    </Text>
  );
}

interface TilesProps {
  name: string;
  board: Board;
  view: View;
  editing: boolean;
  narrow: boolean;
  change: (next: (board: Board) => Board) => void;
  onEdit: (tile: Tile) => void;
  onFilter: (condition: Condition) => void;
  onUnfilter: (property: string) => void;
  onRange: (range: Range) => void;
}

function Tiles({ name: own, board, view, editing, narrow, change, onEdit, onFilter, onUnfilter, onRange }: TilesProps) {
  const project = useProject();
  const questions = useDefinitions(project.id, "question");
  const kinds = useKinds(project.id);
  const saved = useMemo(
    () => new Map((questions.data ?? []).map((one) => [one.name, one.body as Question])),
    [questions.data],
  );
  // The same text stands for the same question, so that what did not change is not asked anew.
  const asked = board.tiles.map((tile) =>
    JSON.stringify(kinds.data && questions.data ? effective(board, tile, view, saved, kinds.data) : null),
  );
  const sign = JSON.stringify(asked);
  const parsed = useMemo(() => (JSON.parse(sign) as string[]).map((one) => JSON.parse(one) as Question | null), [sign]);
  const move = useCallback((tiles: Tile[]) => change((now) => ({ ...now, tiles })), [change]);
  const places = new Map(board.tiles.map((tile, place) => [tile.id, place]));
  return (
    <Grid board={board} editing={editing} narrow={narrow} onMove={move}>
      {(tile) => {
        const question = parsed[places.get(tile.id) ?? -1] ?? null;
        const name = tile.question?.saved;
        const gone = typeof name === "string" && questions.data && !saved.has(name);
        return (
          <TileCard
            tile={tile}
            columns={columnsOf(board)}
            editing={editing}
            question={question}
            onEdit={() => onEdit(tile)}
            onCopy={() => change((now) => doubled(now, tile.id))}
            onRemove={() => change((now) => withoutTile(now, tile.id))}
            onStep={(moved) => change((now) => changedTile(now, tile.id, moved))}
          >
            <TileBody
              project={project.id}
              tile={tile}
              board={own}
              question={question}
              {...(gone ? { missing: `The saved question “${name}” is gone. Edit the tile to choose another.` } : {})}
              filters={view.filters}
              live={!board.refresh}
              refresh={board.refresh ?? 0}
              onFilter={onFilter}
              onUnfilter={onUnfilter}
              onRange={onRange}
            />
          </TileCard>
        );
      }}
    </Grid>
  );
}
