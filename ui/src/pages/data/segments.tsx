import { Anchor, Group, Paper, SegmentedControl, Stack, Text, Title } from "@mantine/core";
import { useState } from "react";
import { Link } from "react-router";
import type { Definition, Question, Row } from "../../api/types";
import { AnswerView } from "../../components/answer-view";
import { useProject } from "../../state/url";
import { Definitions } from "./definitions";
import type { FormProps } from "./editor";
import { SchemaForm } from "./schema-form";

const PAGES_OWN = ["name"];

function SegmentForm(props: FormProps) {
  return <SchemaForm of="Segment" leave={PAGES_OWN} {...props} />;
}

/** People who have something in common. */
export function SegmentsTab() {
  return (
    <Definitions
      kind="segment"
      noun="segment"
      fresh={{ all: [] }}
      form={SegmentForm}
      hint={({ body }) => conditions(body as Row)}
      teaches="A segment is a group of people by what they did or are: buyers of the last 90 days, people on a plan, those who never came back. Every question takes it as a filter or to split by."
    >
      {(item) => <Size item={item} />}
    </Definitions>
  );
}

function conditions(body: Row): string {
  const count = ["all", "any", "not"].reduce(
    (sum, word) => sum + ((body[word] as unknown[] | undefined)?.length ?? 0),
    0,
  );
  return `${count} ${count === 1 ? "condition" : "conditions"}`;
}

const BACK = {
  month: { interval: "day", last: "30 days" },
  quarter: { interval: "week", last: "13 weeks" },
  year: { interval: "month", last: "12 months" },
};

/** How many people were in it at the end of each period. */
function Size({ item }: { item: Definition }) {
  const { id } = useProject();
  const [back, setBack] = useState<keyof typeof BACK>("month");
  const question: Question = { kind: "segment", segments: [{ segment: item.name }], ...BACK[back] };
  return (
    <Paper p="md" bg="var(--surface)">
      <Stack gap="sm">
        <Group justify="space-between">
          <Title order={3}>Its size</Title>
          <SegmentedControl
            size="xs"
            aria-label="How far back"
            data={[
              { value: "month", label: "Month" },
              { value: "quarter", label: "Quarter" },
              { value: "year", label: "Year" },
            ]}
            value={back}
            onChange={(next) => setBack(next as typeof back)}
          />
        </Group>
        <AnswerView key={item.version} project={id} question={question} height={240} />
        <Text size="sm">
          <Anchor component={Link} to={`../explore?q=${encodeURIComponent(JSON.stringify(question))}`}>
            Go on in Explore
          </Anchor>
        </Text>
      </Stack>
    </Paper>
  );
}
