import { Badge, Button, Drawer, Group, Paper, Stack, Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { askedBy, useSaveDefinition, useVersions } from "../../api/catalog";
import type { Question } from "../../api/types";
import { ErrorNote, RowsSkeleton } from "../../components/states";
import { ago, moment } from "../../format";
import classes from "./explore.module.css";

interface Props {
  project: string;
  name: string;
  zone: string;
  maySave: boolean;
  opened: boolean;
  onClose: () => void;
  /** Takes a version into the form; nothing is saved by it. */
  onOpen: (question: Question) => void;
  onRestored: (question: Question, version: number) => void;
}

/** All versions of a saved question, the newest first; an earlier one comes back as a further version. */
export function History({ project, name, zone, maySave, opened, onClose, onOpen, onRestored }: Props) {
  const versions = useVersions(project, "question", name, opened && name !== "");
  const save = useSaveDefinition(project, "question");
  const newest = versions.data?.[0];
  return (
    <Drawer opened={opened} onClose={onClose} position="right" size="md" title={`History of “${name}”`}>
      {versions.isPending && <RowsSkeleton />}
      {versions.isError && <ErrorNote error={versions.error} onRetry={() => void versions.refetch()} />}
      {save.isError && <ErrorNote error={save.error} />}
      <Stack gap="sm">
        {(versions.data ?? []).map((version) => (
          <Paper key={version.version} p="md">
            <Group justify="space-between" mb="xs" wrap="nowrap">
              <Text fw={500}>Version {version.version}</Text>
              {version === newest && (
                <Badge variant="default" tt="none" fw={500}>
                  In force
                </Badge>
              )}
            </Group>
            <Text c="dimmed" size="sm" title={moment(version.saved_at, zone)}>
              {ago(version.saved_at)}
              {version.author ? ` by ${version.author}` : ""}
            </Text>
            {version.removed ? (
              <Text mt="xs">The question was removed.</Text>
            ) : (
              <>
                <pre className={classes.plan} style={{ marginTop: 8, maxHeight: 160 }}>
                  {JSON.stringify(version.body, null, 1)}
                </pre>
                <Group gap="sm" mt="sm">
                  <Button size="xs" variant="default" onClick={() => onOpen(askedBy(version))}>
                    Open
                  </Button>
                  {maySave && newest && version !== newest && (
                    <Button
                      size="xs"
                      variant="default"
                      loading={save.isPending}
                      onClick={() =>
                        save.mutate(
                          { name, body: version.body, expected: newest.version },
                          {
                            onSuccess: (saved) => {
                              notifications.show({
                                message: `Version ${version.version} is back, as version ${saved.version}.`,
                              });
                              onRestored(askedBy(saved), saved.version);
                            },
                          },
                        )
                      }
                    >
                      Restore
                    </Button>
                  )}
                </Group>
              </>
            )}
          </Paper>
        ))}
      </Stack>
    </Drawer>
  );
}
