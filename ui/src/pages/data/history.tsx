import { Badge, Button, Drawer, Group, Stack, Text } from "@mantine/core";
import { useState } from "react";
import { type DefinitionKind, useVersions } from "../../api/catalog";
import type { Definition, Row } from "../../api/types";
import { Json } from "../../components/event-drawer";
import { ErrorNote, RowsSkeleton } from "../../components/states";
import { moment } from "../../format";
import { useProject } from "../../state/url";

/** All versions of a definition; an earlier one can be taken up again. */
export function History({
  kind,
  item,
  may,
  onRestore,
}: {
  kind: DefinitionKind;
  item: Definition;
  may: boolean;
  onRestore: (body: Row) => void;
}) {
  const { id, zone } = useProject();
  const [opened, setOpened] = useState(false);
  const versions = useVersions(id, kind, item.name, opened);
  return (
    <>
      <Button variant="subtle" color="gray" onClick={() => setOpened(true)}>
        History
      </Button>
      <Drawer
        opened={opened}
        onClose={() => setOpened(false)}
        position="right"
        size="lg"
        title={`History of ${item.name}`}
      >
        {versions.error ? (
          <ErrorNote error={versions.error} onRetry={() => void versions.refetch()} />
        ) : !versions.data ? (
          <RowsSkeleton rows={6} />
        ) : (
          <Stack gap="lg">
            {versions.data.map((version) => (
              <Stack key={version.version} gap="sm">
                <Group justify="space-between">
                  <div>
                    <Group gap="sm">
                      <Text fw={500}>Version {version.version}</Text>
                      {version.version === item.version && (
                        <Badge variant="default" tt="none" fw={500}>
                          in force
                        </Badge>
                      )}
                    </Group>
                    <Text size="sm" c="dimmed">
                      {[
                        version.author,
                        version.saved_at ? moment(version.saved_at, zone) : "",
                        version.removed ? "removed" : "",
                      ]
                        .filter(Boolean)
                        .join(", ")}
                    </Text>
                  </div>
                  {may && version.version !== item.version && !version.removed && (
                    <Button
                      size="xs"
                      variant="default"
                      onClick={() => {
                        onRestore(version.body as Row);
                        setOpened(false);
                      }}
                    >
                      Take up again
                    </Button>
                  )}
                </Group>
                {!version.removed && <Json value={version.body} />}
              </Stack>
            ))}
          </Stack>
        )}
      </Drawer>
    </>
  );
}
