import { Drawer, Group, List, Progress, Stack, Text, Title } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { explain } from "../../api/ask";
import type { Explanation, Question } from "../../api/types";
import { ErrorNote, RowsSkeleton } from "../../components/states";
import { duration, percent, short, whole } from "../../format";
import classes from "./explore.module.css";

function useExplanation(project: string, question: Question | null) {
  const [settled] = useDebouncedValue(question, 600);
  return useQuery({
    queryKey: ["explanation", project, settled],
    queryFn: () => explain(project, settled as Question),
    enabled: settled !== null,
    placeholderData: keepPreviousData,
    retry: false,
    staleTime: 30_000,
  });
}

/** What a question will read and how long that took lately. */
function Cost({ found }: { found: Explanation }) {
  const share = found.all_rows ? found.rows / found.all_rows : 0;
  return (
    <Stack gap="xs">
      <Text title={`${whole(found.rows)} of ${whole(found.all_rows)} rows`}>
        Reads {short(found.rows)} of {short(found.all_rows)} events ({percent(share)})
        {found.seconds === null ? "" : `, about ${duration(found.seconds)}`}.
      </Text>
      <Progress value={Math.min(100, share * 100)} size="xs" aria-label="Share of all events that it reads" />
      {found.advice.length > 0 && (
        <List size="sm" spacing={4}>
          {found.advice.map((advice) => (
            <List.Item key={advice}>{advice}</List.Item>
          ))}
        </List>
      )}
    </Stack>
  );
}

/** The engine's plan, or the statement as it runs; a statement that a person wrote has no plan, as looking for one might run parts of it. */
function Lines({ title, text }: { title: string; text: string }) {
  if (!text) return null;
  return (
    <div>
      <Title order={2} size="h3" mb="sm">
        {title}
      </Title>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, and the keyboard must reach it */}
      <pre className={classes.plan} tabIndex={0}>
        {text}
      </pre>
    </div>
  );
}

/** The plan beside an editor; it follows what is typed. */
export function PlanBeside({ project, question }: { project: string; question: Question | null }) {
  const { data, error, isFetching } = useExplanation(project, question);
  return (
    <section aria-label="Cost and plan">
      <Group gap="sm" mb="sm">
        <Title order={2} size="h3">
          What it reads
        </Title>
        {isFetching && (
          <Text size="xs" c="dimmed">
            reckoning
          </Text>
        )}
      </Group>
      {question === null && <Text c="dimmed">What the statement will read stands here once it is whole.</Text>}
      {question !== null && error && <Text c="dimmed">{error.message}</Text>}
      {question !== null && !error && data && (
        <Stack gap="md">
          <Cost found={data} />
          {data.plan.length > 0 ? (
            <Lines title="Plan" text={data.plan.join("\n")} />
          ) : (
            <Lines title="As it runs, within your project" text={data.sql} />
          )}
        </Stack>
      )}
    </section>
  );
}

/** What it costs, how to make it cheaper, and the statement itself. */
export function ExplainDrawer({
  project,
  question,
  opened,
  onClose,
}: {
  project: string;
  question: Question | null;
  opened: boolean;
  onClose: () => void;
}) {
  const { data, error, isPending, refetch } = useExplanation(project, opened ? question : null);
  return (
    <Drawer opened={opened} onClose={onClose} position="right" size="lg" title="What it costs">
      {error ? (
        <ErrorNote error={error} onRetry={() => void refetch()} />
      ) : isPending || !data ? (
        <RowsSkeleton />
      ) : (
        <Stack gap="lg">
          <Cost found={data} />
          <Lines title="Plan" text={data.plan.join("\n")} />
          <Lines title="Statement" text={data.sql.trim()} />
        </Stack>
      )}
    </Drawer>
  );
}
