import {
  Button,
  Drawer,
  FileInput,
  Group,
  NumberInput,
  SegmentedControl,
  Select,
  Stack,
  Text,
  Textarea,
  TextInput,
} from "@mantine/core";
import { lazy, Suspense, useState } from "react";
import { useKinds } from "../../api/ask";
import { useDefinitions, useEventNames, useProperties } from "../../api/catalog";
import { AnswerView } from "../../components/answer-view";
import { RowsSkeleton } from "../../components/states";
import type { Tile, TileType } from "./model";

const QuestionForm = lazy(() =>
  import("../../components/question-form/question-form").then(({ QuestionForm: form }) => ({ default: form })),
);

const TYPES: { value: TileType; label: string }[] = [
  { value: "question", label: "Question" },
  { value: "number", label: "Number" },
  { value: "text", label: "Text" },
  { value: "image", label: "Image" },
  { value: "filter", label: "Filter" },
  { value: "feed", label: "Live feed" },
];
const IMAGE_LIMIT = 150_000;

export type Draft = Omit<Tile, "id" | "x" | "y" | "w" | "h">;

/** Makes or changes one tile, with what it will look like. */
export function TileEditor({
  project,
  tile,
  onClose,
  onDone,
}: {
  project: string;
  tile: Draft | null;
  onClose: () => void;
  onDone: (tile: Draft) => void;
}) {
  return (
    <Drawer
      opened={tile !== null}
      onClose={onClose}
      title={tile?.title ? `Tile “${tile.title}”` : "Tile"}
      position="right"
      size="xl"
    >
      {tile && <Form project={project} given={tile} onClose={onClose} onDone={onDone} />}
    </Drawer>
  );
}

function Form({
  project,
  given,
  onClose,
  onDone,
}: {
  project: string;
  given: Draft;
  onClose: () => void;
  onDone: (tile: Draft) => void;
}) {
  const [tile, setTile] = useState<Draft>(given);
  const change = (more: Partial<Draft>) => setTile((before) => ({ ...before, ...more }));
  const whole = complete(tile);
  return (
    <Stack gap="md">
      <SegmentedControl
        aria-label="What it shows"
        data={TYPES}
        value={tile.type}
        onChange={(type) => setTile(ofType(tile, type as TileType))}
      />
      <TextInput
        label="Title"
        maxLength={200}
        value={tile.title ?? ""}
        onChange={(event) => change({ title: event.currentTarget.value })}
      />
      {(tile.type === "question" || tile.type === "number") && (
        <QuestionPart project={project} tile={tile} onChange={change} />
      )}
      {tile.type === "text" && (
        <Textarea
          label="Text"
          description="Markdown: **bold**, # title, - list, [link](https://…)"
          autosize
          minRows={6}
          maxLength={20_000}
          value={tile.text ?? ""}
          onChange={(event) => change({ text: event.currentTarget.value })}
        />
      )}
      {tile.type === "image" && <ImagePart tile={tile} onChange={change} />}
      {tile.type === "filter" && <FilterPart project={project} tile={tile} onChange={change} />}
      {tile.type === "feed" && <FeedPart project={project} tile={tile} onChange={change} />}
      <Group justify="flex-end">
        <Button variant="default" onClick={onClose}>
          Cancel
        </Button>
        <Button disabled={!whole} onClick={() => onDone(tile)}>
          Put it on the board
        </Button>
      </Group>
    </Stack>
  );
}

type PartProps = { tile: Draft; onChange: (more: Partial<Draft>) => void };

function QuestionPart({ project, tile, onChange }: PartProps & { project: string }) {
  const saved = useDefinitions(project, "question");
  const kinds = useKinds(project);
  const question = tile.question ?? null;
  const [way, setWay] = useState<"saved" | "own">(question && !question.saved ? "own" : "saved");
  const kind = kinds.data?.find((one) => one.kind === question?.kind);
  return (
    <>
      <SegmentedControl
        aria-label="Which question"
        data={[
          { value: "saved", label: "A saved question" },
          { value: "own", label: "A question of its own" },
        ]}
        value={way}
        onChange={(value) => setWay(value as "saved" | "own")}
      />
      {way === "saved" && (
        <Select
          label="Saved question"
          description={
            saved.data?.length === 0
              ? "None is saved yet: save one in Explore, or give the tile one of its own."
              : undefined
          }
          data={(saved.data ?? []).map((one) => one.name)}
          value={typeof question?.saved === "string" ? question.saved : null}
          onChange={(name) => name && onChange({ question: { saved: name }, ...(tile.title ? {} : { title: name }) })}
          searchable
        />
      )}
      {way === "own" && (
        <>
          <Select
            label="Kind"
            data={(kinds.data ?? []).map((one) => ({ value: one.kind, label: one.title }))}
            value={kind?.kind ?? null}
            onChange={(value) => value && onChange({ question: { kind: value } })}
            searchable
            allowDeselect={false}
          />
          {kind && question && (
            <Suspense fallback={<RowsSkeleton rows={4} />}>
              <QuestionForm
                project={project}
                kind={kind}
                value={question}
                onChange={(next) => onChange({ question: next })}
              />
            </Suspense>
          )}
        </>
      )}
      {tile.type === "number" && (
        <NumberInput
          label="Target"
          description="What is aimed at; left out: none."
          value={tile.chart?.target ?? ""}
          onChange={(value) =>
            onChange({
              chart: {
                ...tile.chart,
                ...(typeof value === "number" ? { target: value } : { target: undefined }),
              } as NonNullable<Draft["chart"]>,
            })
          }
        />
      )}
      {question && (
        <AnswerView
          project={project}
          question={question}
          chart={{ ...tile.chart, ...(tile.type === "number" ? { type: "number" as const } : {}) }}
          {...(tile.type === "question"
            ? { onChart: (chart: NonNullable<Draft["chart"]>) => onChange({ chart }) }
            : {})}
          height={260}
          title={null}
        />
      )}
    </>
  );
}

function ImagePart({ tile, onChange }: PartProps) {
  const [fault, setFault] = useState("");
  const read = (file: File | null) => {
    setFault("");
    if (!file) return;
    if (file.size > IMAGE_LIMIT) {
      setFault(`The file has ${Math.round(file.size / 1000)} kB; images have 150 kB at most.`);
      return;
    }
    const reader = new FileReader();
    reader.onload = () => onChange({ image: String(reader.result) });
    reader.readAsDataURL(file);
  };
  return (
    <>
      <FileInput
        label="Image"
        accept="image/png,image/jpeg,image/gif,image/webp,image/svg+xml"
        placeholder="Choose a file"
        onChange={read}
        error={fault}
      />
      {tile.image && <img src={tile.image} alt="" style={{ maxWidth: "100%", maxHeight: 240, objectFit: "contain" }} />}
      <Text size="sm" c="dimmed">
        The title is what people hear who do not see it.
      </Text>
    </>
  );
}

function FilterPart({ project, tile, onChange }: PartProps & { project: string }) {
  const properties = useProperties(project);
  const names = [...new Set((properties.data ?? []).map((one) => one.property))];
  const data = ["@country", "@channel", "@browser", "@device", "@os", ...names];
  return (
    <Select
      label="Property"
      description="Its values are offered; one of them filters the whole board."
      data={data}
      value={tile.property ?? null}
      onChange={(property) =>
        property && onChange({ property, ...(tile.title ? {} : { title: property.replace(/^@/, "") }) })
      }
      searchable
    />
  );
}

function FeedPart({ project, tile, onChange }: PartProps & { project: string }) {
  const events = useEventNames(project);
  return (
    <Select
      label="Event"
      description="Left out: events of every name."
      data={(events.data ?? []).map((one) => one.event)}
      value={tile.event || null}
      onChange={(event) => onChange({ event: event ?? "" })}
      searchable
      clearable
    />
  );
}

/** The tile as one of another type: what only the old one has is left out, as the server would refuse it. */
function ofType(tile: Draft, type: TileType): Draft {
  const asks = type === "question" || type === "number";
  return {
    type,
    ...(tile.title ? { title: tile.title } : {}),
    ...(asks && tile.question ? { question: tile.question, chart: {} } : {}),
  };
}

function complete(tile: Draft): boolean {
  if (tile.type === "question" || tile.type === "number") return Boolean(tile.question);
  if (tile.type === "text") return Boolean(tile.text);
  if (tile.type === "image") return Boolean(tile.image);
  if (tile.type === "filter") return Boolean(tile.property);
  return true;
}
