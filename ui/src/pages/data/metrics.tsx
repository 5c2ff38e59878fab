import { Anchor, Input, Paper, Stack, Text } from "@mantine/core";
import { Link } from "react-router";
import type { Definition, Question, Row } from "../../api/types";
import { AnswerView } from "../../components/answer-view";
import { EventPicker } from "../../components/event-picker";
import { useProject } from "../../state/url";
import { Definitions } from "./definitions";
import type { FormProps } from "./editor";
import { SchemaForm } from "./schema-form";

const PAGES_OWN = ["name", "metric", "event"];
const FIRST = ["measure", "property", "filters", "unit", "description"];

function MetricForm(props: FormProps) {
  const { id } = useProject();
  const { value, onChange, fault } = props;
  const { event, ...rest } = value;
  return (
    <Stack gap="md">
      {!value.formula && (
        <Input.Wrapper label="Event" description="Which events it is made of." labelElement="div">
          <EventPicker
            project={id}
            metrics={false}
            value={{ event: event ? String(event) : null }}
            onChange={(picked) => onChange("event" in picked && picked.event ? { event: picked.event, ...rest } : rest)}
            error={fault?.place === "event" ? fault.message : undefined}
          />
        </Input.Wrapper>
      )}
      <SchemaForm of="Metric" leave={PAGES_OWN} first={FIRST} {...props} />
    </Stack>
  );
}

/** Numbers that the team goes by. */
export function MetricsTab() {
  return (
    <Definitions
      kind="metric"
      noun="metric"
      fresh={{}}
      form={MetricForm}
      hint={({ body }) => inShort(body as Row)}
      teaches="A metric is defined once, under a name, and every chart, alert, experiment and export takes it by that name; so two charts of it cannot disagree."
    >
      {(item) => <Lately item={item} />}
    </Definitions>
  );
}

function inShort(body: Row): string {
  if (body.description) return String(body.description);
  if (body.formula) return String(body.formula);
  const of = body.property ? ` of ${body.property}` : "";
  return `${String(body.measure ?? "count").replaceAll("_", " ")}${of}, ${String(body.event ?? "any event")}`;
}

function Lately({ item }: { item: Definition }) {
  const { id } = useProject();
  const question: Question = { kind: "trend", series: [{ metric: item.name }], interval: "day", last: "30 days" };
  return (
    <Paper p="md" bg="var(--surface)">
      <Stack gap="sm">
        {/* A new version has another answer, under the same question. */}
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
