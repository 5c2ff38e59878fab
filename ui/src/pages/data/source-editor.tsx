/** One source being made or changed: as JSON, tried out before it is saved. */

import { Button, Drawer, Group, Select, Stack, Text, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { call, projectPath } from "../../api/client";
import { ApiError } from "../../api/errors";
import type { Row, Source, TriedSource } from "../../api/types";
import { JsonEditor } from "../../components/json-editor";
import { faultOf, lineOfPath } from "../../components/json-place";
import { ErrorNote } from "../../components/states";
import { tell } from "../../components/tell";
import { whole } from "../../format";
import { useProject } from "../../state/url";
import { asText, bodyOf } from "./draft";
import { isHook, SOURCE_KINDS } from "./source-kinds";

const without = ({ kind: _, ...rest }: Row): Row => rest;

export function SourceEditor({ saved, onClose }: { saved: Source | null; onClose: () => void }) {
  const { id } = useProject();
  const client = useQueryClient();
  const [kind, setKind] = useState(saved?.kind ?? "stripe");
  const [name, setName] = useState(saved?.name ?? "");
  const [text, setText] = useState(asText(saved ? without(saved.source) : SOURCE_KINDS.stripe?.fresh));
  const [sample, setSample] = useState("");
  const body = bodyOf(text);
  const source = { kind, ...body };
  const attempt = useMutation({
    mutationFn: () =>
      call<TriedSource>(projectPath(id, "sources", "try"), {
        method: "POST",
        body: { source, name: saved?.name ?? "", ...(sample.trim() ? { sample } : {}) },
      }),
  });
  const save = useMutation({
    mutationFn: () => call<Source>(projectPath(id, "sources", name.trim()), { method: "PUT", body: { source } }),
    onSuccess: (made) => {
      void client.invalidateQueries({ queryKey: ["sources", id] });
      tell(made.path ? `${made.name} is saved; its sender posts to ${made.path}.` : `${made.name} is saved.`);
      onClose();
    },
  });
  const choose = (next: string) => {
    setKind(next);
    setText(asText(SOURCE_KINDS[next]?.fresh));
    attempt.reset();
    save.reset();
  };
  const change = (next: string) => {
    setText(next);
    save.reset();
    attempt.reset();
  };
  const error = save.error ?? attempt.error;
  const line = error instanceof ApiError && error.place ? lineOfPath(text, error.place) : null;
  const fault = faultOf(text);
  return (
    <Drawer opened onClose={onClose} position="right" size="lg" title={saved ? `Source ${saved.name}` : "New source"}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          save.mutate();
        }}
      >
        <Stack gap="md">
          <div>
            <Select
              label="Kind"
              data={Object.entries(SOURCE_KINDS).map(([value, { label }]) => ({ value, label }))}
              value={kind}
              onChange={(next) => next && choose(next)}
              allowDeselect={false}
              disabled={saved !== null}
            />
            <Text size="sm" c="dimmed" mt="xs">
              {SOURCE_KINDS[kind]?.about}
              {saved ? " Secrets that you leave as they are stay as they were." : ""}
            </Text>
          </div>
          <TextInput
            label="Name"
            description="Small letters, digits, - and _; a webhook’s address ends with it."
            placeholder="payments"
            maxLength={64}
            value={name}
            onChange={(event) => setName(event.currentTarget.value)}
            disabled={saved !== null}
            data-autofocus
          />
          <JsonEditor
            label="Settings"
            value={text}
            onChange={change}
            fault={fault ?? (line !== null && error instanceof ApiError ? { message: error.message, line } : null)}
          />
          <JsonEditor
            label={
              isHook(kind)
                ? "A delivery’s body, to try it on"
                : "Some lines of a file, to try it on; empty: a real file"
            }
            value={sample}
            onChange={setSample}
          />
          {attempt.data && <Outcome tried={attempt.data} />}
          {Boolean(error) && <ErrorNote error={error} />}
          <Group justify="flex-end">
            <Button variant="default" onClick={() => attempt.mutate()} loading={attempt.isPending} disabled={!body}>
              Try it
            </Button>
            <Button type="submit" loading={save.isPending} disabled={!body || !name.trim()}>
              Save source
            </Button>
          </Group>
        </Stack>
      </form>
    </Drawer>
  );
}

/** What it would bring. */
function Outcome({ tried }: { tried: TriedSource }) {
  const { files, events, rejected } = tried;
  return (
    <Stack gap="sm" role="status">
      <Text>
        {files.length > 0 && `${files.length === 20 ? "20 files or more" : whole(files.length)} found. `}
        {events.length === 1 ? "It makes one event" : `It makes ${whole(events.length)} events`}
        {rejected.length > 0 && `, and ${whole(rejected.length)} would become dead letters`}. Nothing was kept.
      </Text>
      {rejected.slice(0, 5).map((one) => (
        <Text key={String(one.index)} size="sm" c="var(--bad)">
          {String(one.detail)}
        </Text>
      ))}
      {events.length > 0 && (
        <JsonEditor label="As they would be" value={asText(events.slice(0, 5))} onChange={() => undefined} readOnly />
      )}
    </Stack>
  );
}
