import { Button, Group, Modal, Stack, Text } from "@mantine/core";
import { IconChevronDown } from "@tabler/icons-react";
import { useState } from "react";
import type { Kind, Question, Range } from "../../api/types";
import type { Fault } from "../../components/question-form/context";
import { QuestionForm } from "../../components/question-form/question-form";
import { without } from "../../components/question-form/values";
import { RangePicker } from "../../components/range-picker";
import { Chooser } from "./chooser";
import { whenToAsk } from "./draft";
import { Examples } from "./examples";

interface Props {
  project: { id: string; zone: string; weekStart: string | undefined };
  kinds: Kind[];
  kind: Kind;
  draft: Question;
  faults: readonly Fault[];
  onEdit: (question: Question, field?: string) => void;
  onKind: (kind: Kind) => void;
  onStart: (question: Question, saved: string) => void;
}

/** The question's kind, its range, and the form that its schema makes. */
export function AskPanel({ project, kinds, kind, draft, faults, onEdit, onKind, onStart }: Props) {
  const [choosing, setChoosing] = useState(false);
  const [examples, setExamples] = useState(false);
  const { last, date_from, date_to } = draft as Range;
  const range = { ...(last ? { last } : {}), ...(date_from ? { date_from } : {}), ...(date_to ? { date_to } : {}) };
  const rangeFault = faults.find((fault) => ["last", "date_from", "date_to"].includes(fault.place))?.message;
  return (
    <Stack gap="lg">
      <div>
        <Group gap="sm" justify="space-between" wrap="nowrap">
          <Button
            variant="default"
            rightSection={<IconChevronDown size={14} aria-hidden />}
            onClick={() => setChoosing(true)}
            aria-label={`${kind.kind.replaceAll("_", " ")}: choose another kind of question`}
            styles={{ label: { overflow: "hidden", textOverflow: "ellipsis" } }}
            title={kind.title}
          >
            {kind.kind.replaceAll("_", " ")}
          </Button>
          <Button variant="subtle" onClick={() => setExamples(true)} px="sm" style={{ flex: "none" }}>
            Try an example
          </Button>
        </Group>
        <Text size="sm" c="dimmed" mt="sm">
          {whenToAsk(kind.doc)}
        </Text>
      </div>
      <Stack gap={4}>
        <RangePicker
          value={range}
          onChange={(next) => onEdit({ ...without(draft, "last", "date_from", "date_to"), ...next })}
          zone={draft.timezone ? String(draft.timezone) : project.zone}
          weekStart={String(draft.week_start ?? project.weekStart ?? "monday")}
          whenEmpty="The question’s usual range"
          fullWidth
        />
        {rangeFault && (
          <Text size="xs" c="var(--bad)" role="alert">
            {rangeFault}
          </Text>
        )}
      </Stack>
      <QuestionForm key={kind.kind} project={project.id} kind={kind} value={draft} onChange={onEdit} faults={faults} />
      <Modal opened={choosing} onClose={() => setChoosing(false)} title="Another question" size="xl">
        <Chooser
          project={project.id}
          kinds={kinds}
          whole={false}
          onKind={(chosen) => {
            setChoosing(false);
            onKind(chosen);
          }}
          onQuestion={onStart}
        />
      </Modal>
      <Examples
        kind={kind}
        opened={examples}
        onClose={() => setExamples(false)}
        onTake={(question) => {
          setExamples(false);
          onStart(question, "");
        }}
      />
    </Stack>
  );
}
