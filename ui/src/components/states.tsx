/** What a page shows when it has no answer yet, none at all, or a wrong turn. */

import { Alert, Button, Center, Group, Skeleton, Stack, Text, Title } from "@mantine/core";
import type { ReactNode } from "react";
import { ApiError, OfflineError } from "../api/errors";

/** A whole page on its way. */
export function Loading() {
  return (
    <Center h="60vh" role="status" aria-busy aria-label="Loading">
      <Skeleton width={240} height={12} radius="xl" />
    </Center>
  );
}

/** Rows on their way, in the shape of a table. */
export function RowsSkeleton({ rows = 8 }: { rows?: number }) {
  return (
    <Stack gap="sm" role="status" aria-busy aria-label="Loading">
      {Array.from({ length: rows }, (_, place) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the rows are all the same
        <Skeleton key={place} height={20} width={`${92 - ((place * 17) % 40)}%`} />
      ))}
    </Stack>
  );
}

/** What would be here, why it isn't, and the one thing to do. */
export function Empty({ title, children, action }: { title: string; children?: ReactNode; action?: ReactNode }) {
  return (
    <Center py={48} px="md">
      <Stack align="center" gap="sm" maw={440} ta="center">
        <Title order={2}>{title}</Title>
        {children && (
          <Text c="dimmed" component="div">
            {children}
          </Text>
        )}
        {action}
      </Stack>
    </Center>
  );
}

/** What happened, what to do, and an id for whoever keeps the server. */
export function ErrorNote({ error, onRetry, page = false }: { error: unknown; onRetry?: () => void; page?: boolean }) {
  const { title, text, id, again } = said(error);
  const note = (
    <Alert color="red" variant="outline" title={title} role="alert" maw={640} w="100%">
      <Stack gap="sm" align="flex-start">
        {text && <Text>{text}</Text>}
        {id && (
          <Text size="sm" c="dimmed">
            The server’s log has the cause under {id}.
          </Text>
        )}
        {onRetry && again && (
          <Button size="xs" variant="default" onClick={onRetry}>
            Try again
          </Button>
        )}
      </Stack>
    </Alert>
  );
  return page ? (
    <Center h="60vh" p="md">
      {note}
    </Center>
  ) : (
    note
  );
}

function said(error: unknown): { title: string; text: string; id: string; again: boolean } {
  if (error instanceof ApiError) {
    const where = error.place && !error.message.includes(error.place) ? `At ${error.place}. ` : "";
    return { title: error.message, text: where + error.wayOut, id: error.errorId, again: error.retryable };
  }
  if (error instanceof OfflineError)
    return { title: error.message, text: "Nothing is lost. Try again in a moment.", id: "", again: true };
  return {
    title: "This page has a fault.",
    text: error instanceof Error ? error.message : String(error),
    id: "",
    again: true,
  };
}

/** A page's head: what it is, a line about it, and its one primary action. */
export function PageHead({ title, about, children }: { title: string; about?: ReactNode; children?: ReactNode }) {
  return (
    <Group justify="space-between" align="flex-start" mb="md" gap="sm">
      <div>
        <Title order={1}>{title}</Title>
        {about && (
          <Text c="dimmed" component="div">
            {about}
          </Text>
        )}
      </div>
      {children && <Group gap="sm">{children}</Group>}
    </Group>
  );
}
