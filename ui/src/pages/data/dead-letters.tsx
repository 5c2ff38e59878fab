import {
  Badge,
  Button,
  Drawer,
  Group,
  Paper,
  SegmentedControl,
  Select,
  Stack,
  Text,
  UnstyledButton,
} from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { call, projectPath } from "../../api/client";
import { atLeast } from "../../api/me";
import { Confirm } from "../../components/confirm";
import { JsonEditor } from "../../components/json-editor";
import { NeedsRole } from "../../components/needs-role";
import { Empty, ErrorNote, RowsSkeleton } from "../../components/states";
import { tell, tellError } from "../../components/tell";
import { VirtualList } from "../../components/virtual-list";
import { ago, moment, whole } from "../../format";
import { useProject, useUrlValue } from "../../state/url";
import classes from "./data.module.css";
import { indented, type Letter, reasonsOf, reasonWords } from "./letters";

const MOST = 1000;

interface Replayed {
  replayed: number;
  failed: { id: string; reason: string }[];
}

/** What could not become an event, to be mended and sent again, or given up. */
export function DeadLettersTab() {
  const project = useProject();
  const may = atLeast(project.role, "admin");
  const [state, setState] = useUrlValue("state", "waiting");
  const [reason, setReason] = useUrlValue("reason", "");
  const [shown, setShown] = useState<Letter | null>(null);
  const letters = useQuery({
    queryKey: ["dead-letters", project.id, state],
    queryFn: () => call<Letter[]>(projectPath(project.id, "dead-letters"), { query: { state, limit: MOST } }),
    enabled: may,
  });
  if (!may)
    return (
      <NeedsRole
        needed="admin"
        role={project.role}
        what="Dead letters hold what senders sent, as they sent it, so admins alone see them."
      />
    );
  const all = letters.data ?? [];
  const list = reason ? all.filter((letter) => letter.reason === reason) : all;
  return (
    <>
      <Group mb="md" gap="sm" justify="space-between">
        <Group gap="sm">
          <SegmentedControl
            aria-label="State"
            data={[
              { value: "waiting", label: "Waiting" },
              { value: "replayed", label: "Replayed" },
              { value: "discarded", label: "Discarded" },
            ]}
            value={state}
            onChange={setState}
          />
          <Select
            aria-label="Reason"
            placeholder="All reasons"
            data={reasonsOf(all).map(({ reason: one, count }) => ({
              value: one,
              label: `${reasonWords(one)} (${whole(count)})`,
            }))}
            value={reason || null}
            onChange={(next) => setReason(next ?? "")}
            clearable
            w={280}
          />
        </Group>
        {state === "waiting" && list.length > 0 && <Many letters={list} />}
      </Group>
      {letters.error ? (
        <ErrorNote error={letters.error} onRetry={() => void letters.refetch()} />
      ) : !letters.data ? (
        <RowsSkeleton rows={8} />
      ) : list.length === 0 ? (
        <Empty title={state === "waiting" ? "No dead letter waits" : `None was ${state}`}>
          {state === "waiting" && !reason
            ? "Everything that came could become an event."
            : "Choose another state or reason."}
        </Empty>
      ) : (
        <Paper bg="var(--surface)" style={{ overflow: "hidden" }}>
          <VirtualList
            items={list}
            label="Dead letters"
            rowHeight={64}
            height="calc(100vh - 320px)"
            keyOf={({ id }) => id}
          >
            {(letter) => (
              <UnstyledButton
                className={classes.line}
                style={{ gridTemplateColumns: "minmax(0, 1fr) auto" }}
                onClick={() => setShown(letter)}
              >
                <div style={{ minWidth: 0 }}>
                  <Text truncate fw={500} title={letter.detail}>
                    {reasonWords(letter.reason)}
                    {letter.detail ? `: ${letter.detail}` : ""}
                  </Text>
                  <Text truncate size="sm" c="dimmed" ff="monospace">
                    {letter.original.slice(0, 300)}
                  </Text>
                </div>
                <Text size="sm" c="dimmed" title={moment(letter.received, project.zone)}>
                  {ago(letter.received)}
                </Text>
              </UnstyledButton>
            )}
          </VirtualList>
        </Paper>
      )}
      {all.length === MOST && (
        <Text size="sm" c="dimmed" mt="sm">
          These are the latest {whole(MOST)}; further ones come up as these are done.
        </Text>
      )}
      {shown && <One key={shown.id} letter={shown} onClose={() => setShown(null)} />}
    </>
  );
}

function useDone() {
  const client = useQueryClient();
  const { id } = useProject();
  return () =>
    void Promise.all(
      ["dead-letters", "ledger", "event-names"].map((key) => client.invalidateQueries({ queryKey: [key, id] })),
    );
}

/** Replays or gives up all that are listed. */
function Many({ letters }: { letters: Letter[] }) {
  const { id } = useProject();
  const done = useDone();
  const [asked, setAsked] = useState(false);
  const ids = letters.map((letter) => letter.id);
  const replay = useMutation({
    mutationFn: () => call<Replayed>(projectPath(id, "dead-letters", "replay"), { method: "POST", body: { ids } }),
    onSuccess: ({ replayed, failed }) => {
      done();
      tell(
        `${whole(replayed)} became events${failed.length ? `; ${whole(failed.length)} failed again and wait on` : ""}.`,
      );
    },
    onError: tellError,
  });
  const discard = useMutation({
    mutationFn: () => call(projectPath(id, "dead-letters", "discard"), { method: "POST", body: { ids } }),
    onSuccess: () => {
      done();
      setAsked(false);
    },
  });
  const many = `${ids.length === 1 ? "this one" : `these ${whole(ids.length)}`}`;
  return (
    <Group gap="sm">
      <Button variant="default" onClick={() => setAsked(true)}>
        Discard {many}
      </Button>
      <Button onClick={() => replay.mutate()} loading={replay.isPending}>
        Replay {many}
      </Button>
      {asked && (
        <Confirm
          title="Give dead letters up"
          action={`Discard ${many}`}
          pending={discard.isPending}
          error={discard.error}
          onConfirm={() => discard.mutate()}
          onClose={() => setAsked(false)}
        >
          {ids.length === 1 ? "It" : `${whole(ids.length)} dead letters`} will not become events any more. They stay in
          the ledger as rejected, and are listed under Discarded.
        </Confirm>
      )}
    </Group>
  );
}

function One({ letter, onClose }: { letter: Letter; onClose: () => void }) {
  const { id, zone } = useProject();
  const done = useDone();
  const first = indented(letter.original);
  const [text, setText] = useState(first);
  const edited = text !== first;
  const replay = useMutation({
    mutationFn: () =>
      call<Replayed>(projectPath(id, "dead-letters", "replay"), {
        method: "POST",
        body: { ids: [letter.id], edits: edited ? { [letter.id]: text } : {} },
      }),
    onSuccess: ({ replayed }) => {
      if (replayed === 0) return;
      done();
      tell("It became an event.");
      onClose();
    },
  });
  const discard = useMutation({
    mutationFn: () => call(projectPath(id, "dead-letters", "discard"), { method: "POST", body: { ids: [letter.id] } }),
    onSuccess: () => {
      done();
      tell("The dead letter is given up; it stays in the ledger as rejected.");
      onClose();
    },
    onError: tellError,
  });
  const waits = letter.state === "waiting";
  const again = replay.data?.failed[0]?.reason;
  return (
    <Drawer opened onClose={onClose} position="right" size="lg" title={reasonWords(letter.reason)}>
      <Stack gap="md">
        {letter.detail && <Text style={{ overflowWrap: "anywhere" }}>{letter.detail}</Text>}
        <Group gap="sm">
          <Badge variant="default" tt="none" fw={500}>
            {letter.state}
          </Badge>
          <Text size="sm" c="dimmed">
            Received {moment(letter.received, zone, { second: "2-digit" })} by{" "}
            {letter.protocol || "an unknown protocol"}, refused at {letter.stage}.
          </Text>
        </Group>
        <JsonEditor label="What was sent" value={text} onChange={setText} readOnly={!waits} />
        {again && (
          <Text c="var(--bad)" role="alert">
            It failed again: {reasonWords(again)}. It waits on.
          </Text>
        )}
        {replay.isError && <ErrorNote error={replay.error} />}
        {waits && (
          <Group justify="flex-end">
            <Button variant="default" onClick={() => discard.mutate()} loading={discard.isPending}>
              Discard
            </Button>
            <Button onClick={() => replay.mutate()} loading={replay.isPending}>
              {edited ? "Replay the edited text" : "Replay"}
            </Button>
          </Group>
        )}
      </Stack>
    </Drawer>
  );
}
