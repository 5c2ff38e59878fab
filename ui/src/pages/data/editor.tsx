/** One definition being edited: by a form where there is one, or as JSON; saved as a further version. */

import {
  Alert,
  Badge,
  Button,
  Group,
  Paper,
  SegmentedControl,
  Select,
  Stack,
  Text,
  TextInput,
  Title,
} from "@mantine/core";
import { lazy, type ReactNode, Suspense, useState } from "react";
import { useRemoveDefinition, useSaveDefinition } from "../../api/catalog";
import { ApiError } from "../../api/errors";
import { atLeast } from "../../api/me";
import type { Definition, Row } from "../../api/types";
import { Confirm } from "../../components/confirm";
import { JsonEditor } from "../../components/json-editor";
import { faultOf } from "../../components/json-place";
import { ErrorNote, RowsSkeleton } from "../../components/states";
import { tell } from "../../components/tell";
import { ago } from "../../format";
import { useProject } from "../../state/url";
import type { DefinitionsProps } from "./definitions";
import { asText, bodyOf, type Draft, faultIn, useDraft } from "./draft";
import { History } from "./history";

const YamlEditor = lazy(() => import("../../components/yaml-editor"));

type Way = "form" | "json" | "yaml";

export interface FormProps {
  value: Row;
  onChange: (value: Row) => void;
  /** What the server refused, and where. */
  fault: { place: string; message: string } | null;
  /** Told whether something in the form cannot be read, so that nothing is saved without it. */
  onUnread: (unread: boolean) => void;
}

export type FormOf = (props: FormProps) => ReactNode;

interface EditorProps extends DefinitionsProps {
  saved: Definition | null;
  onSaved: (name: string) => void;
  onGone: () => void;
}

export function Editor({ kind, noun, fresh, form: Form, names, saved, onSaved, onGone }: EditorProps) {
  const project = useProject();
  const may = atLeast(project.role, "analyst");
  const start: Draft = { name: saved?.name ?? "", text: asText(saved?.body ?? fresh), version: saved?.version ?? 0 };
  const { draft, change, changed, drop, forget } = useDraft(project.id, kind, start);
  const [way, setWay] = useState<Way>(draft.yaml !== undefined ? "yaml" : Form ? "form" : "json");
  const save = useSaveDefinition(project.id, kind);
  const [unread, setUnread] = useState(false);
  const [round, setRound] = useState(0); // forms begin anew when their text is put in place from outside
  const body = bodyOf(draft.text);
  const fault = faultOf(draft.text);
  const refused = faultIn(save.error, draft);
  const conflict = save.error instanceof ApiError && save.error.status === 409;
  const store = (over: boolean) => {
    if (!body || !draft.name.trim()) return;
    const expected = over ? {} : { expected: draft.version };
    save.mutate(
      { name: draft.name.trim(), body, ...expected },
      {
        onSuccess: (made) => {
          forget();
          tell(`${made.name} is saved as version ${made.version}.`);
          onSaved(made.name);
        },
      },
    );
  };
  const putBack = () => {
    drop();
    save.reset();
    setUnread(false);
    setRound((before) => before + 1);
  };
  const edit = (text: string) => {
    save.reset();
    change({ name: draft.name, version: draft.version, text });
  };
  const restore = (old: Row) => {
    edit(asText(old));
    setUnread(false);
    setRound((before) => before + 1);
  };
  return (
    <Paper p="md" bg="var(--surface)" miw={0}>
      <Stack gap="md">
        <Group justify="space-between" gap="sm">
          <Group gap="sm" miw={0}>
            <Title order={2} style={{ overflowWrap: "anywhere" }} dir="auto">
              {saved ? saved.name : `New ${noun}`}
            </Title>
            {changed && saved && (
              <Badge variant="default" tt="none" fw={500}>
                not saved
              </Badge>
            )}
          </Group>
          <SegmentedControl
            size="xs"
            aria-label="How to edit"
            data={[
              ...(Form ? [{ value: "form", label: "Form" }] : []),
              { value: "json", label: "JSON" },
              { value: "yaml", label: "YAML" },
            ]}
            value={way}
            onChange={(next) => {
              setWay(next as Way);
              if (next !== way && draft.yaml !== undefined && !unread) edit(draft.text);
            }}
            disabled={unread && way === "yaml"}
          />
        </Group>
        {saved && (
          <Text size="sm" c="dimmed">
            Version {saved.version}, saved {saved.saved_at ? ago(saved.saved_at) : "some time ago"}
            {saved.author ? ` by ${saved.author}` : ""}
          </Text>
        )}
        {!saved &&
          (names ? (
            <Select
              label="Event"
              required
              searchable
              data={names}
              value={draft.name || null}
              onChange={(name) => change({ ...draft, name: name ?? "" })}
              nothingFoundMessage="No such event"
            />
          ) : (
            <TextInput
              label="Name"
              required
              maxLength={200}
              value={draft.name}
              onChange={(event) => change({ ...draft, name: event.currentTarget.value })}
              data-autofocus
            />
          ))}
        {way === "form" && Form && body ? (
          <fieldset disabled={!may} style={{ border: 0, padding: 0, margin: 0, minWidth: 0 }}>
            <Form
              key={round}
              value={body}
              onChange={(next) => edit(asText(next))}
              fault={refused}
              onUnread={setUnread}
            />
          </fieldset>
        ) : way === "yaml" && body ? (
          <Suspense fallback={<RowsSkeleton rows={6} />}>
            <YamlEditor
              label={`The ${noun} as YAML`}
              body={body}
              text={draft.yaml}
              onChange={(yaml, read) => {
                save.reset();
                change({ ...draft, yaml, ...(read ? { text: asText(read) } : {}) });
              }}
              onUnread={setUnread}
              fault={refused}
              readOnly={!may}
            />
          </Suspense>
        ) : (
          <JsonEditor
            label={`The ${noun} as JSON`}
            value={draft.text}
            onChange={edit}
            fault={fault ?? refused}
            readOnly={!may}
          />
        )}
        {way === "form" && refused && (
          <Text size="sm" c="var(--bad)" role="alert">
            {refused.message}
          </Text>
        )}
        {conflict ? (
          <Conflict error={save.error as ApiError} onTheirs={putBack} onMine={() => store(true)} />
        ) : (
          save.isError && !refused && <ErrorNote error={save.error} />
        )}
        <Group justify="space-between" gap="sm">
          <Group gap="sm">
            {saved && <History kind={kind} item={saved} may={may} onRestore={restore} />}
            {saved && may && <Remove kind={kind} noun={noun} name={saved.name} onGone={onGone} />}
          </Group>
          {may ? (
            <Group gap="sm">
              {(changed || !saved) && (
                <Button
                  variant="default"
                  onClick={() => {
                    putBack();
                    if (!saved) onGone();
                  }}
                >
                  {saved ? "Discard the changes" : "Cancel"}
                </Button>
              )}
              <Button
                onClick={() => store(false)}
                loading={save.isPending}
                disabled={!body || (unread && way !== "json") || !draft.name.trim() || (saved !== null && !changed)}
              >
                Save {noun}
              </Button>
            </Group>
          ) : (
            <Text size="sm" c="dimmed">
              Analysts, admins and owners change {noun}s.
            </Text>
          )}
        </Group>
      </Stack>
    </Paper>
  );
}

/** Somebody else saved meanwhile: both ways on. */
function Conflict({ error, onTheirs, onMine }: { error: ApiError; onTheirs: () => void; onMine: () => void }) {
  return (
    <Alert color="yellow" variant="outline" title={error.message} role="alert">
      <Stack gap="sm" align="flex-start">
        <Text>{error.wayOut || "Your text is still here."}</Text>
        <Group gap="sm">
          <Button size="xs" variant="default" onClick={onTheirs}>
            Take what is saved
          </Button>
          <Button size="xs" variant="default" onClick={onMine}>
            Save mine as a further version
          </Button>
        </Group>
      </Stack>
    </Alert>
  );
}

function Remove({
  kind,
  noun,
  name,
  onGone,
}: {
  kind: DefinitionsProps["kind"];
  noun: string;
  name: string;
  onGone: () => void;
}) {
  const project = useProject();
  const [asked, setAsked] = useState(false);
  const remove = useRemoveDefinition(project.id, kind);
  return (
    <>
      <Button variant="subtle" color="red" onClick={() => setAsked(true)}>
        Remove …
      </Button>
      {asked && (
        <Confirm
          title={`Remove ${name}`}
          action={`Remove ${noun}`}
          pending={remove.isPending}
          error={remove.error}
          onConfirm={() =>
            remove.mutate(name, {
              onSuccess: () => {
                tell(`${name} is removed. Its history stays; saved under the same name it is there again.`);
                onGone();
              },
            })
          }
          onClose={() => setAsked(false)}
        >
          The name stands for nothing from then on. It is refused while others go by it. Its history stays.
        </Confirm>
      )}
    </>
  );
}
