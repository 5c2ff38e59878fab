import { Button, Drawer, Group, Paper, Stack, Text } from "@mantine/core";
import { useVersions } from "../../api/catalog";
import { ErrorNote, RowsSkeleton } from "../../components/states";
import { moment } from "../../format";
import { useProject } from "../../state/url";
import { type Board, boardOf } from "./model";

/** All versions of a board; any of them can be had back. */
export function History({
  name,
  opened,
  onClose,
  onRestore,
}: {
  name: string;
  opened: boolean;
  onClose: () => void;
  onRestore: ((board: Board) => void) | null;
}) {
  const project = useProject();
  const versions = useVersions(project.id, "board", name, opened);
  return (
    <Drawer opened={opened} onClose={onClose} title="History" position="right">
      {versions.isError && <ErrorNote error={versions.error} onRetry={() => void versions.refetch()} />}
      {versions.isPending && opened && <RowsSkeleton />}
      <Stack gap="sm">
        {(versions.data ?? []).map((one, place) => (
          <Paper key={one.version} p="sm">
            <Group justify="space-between" wrap="nowrap">
              <div>
                <Text fw={500}>
                  Version {one.version}
                  {place === 0 ? ", in force" : ""}
                </Text>
                <Text size="sm" c="dimmed">
                  {moment(one.saved_at, project.zone)} by {one.author}
                  {one.removed ? ", removed" : ` · ${boardOf(one.body).tiles.length} tiles`}
                </Text>
              </div>
              {onRestore && place > 0 && !one.removed && (
                <Button size="xs" variant="default" onClick={() => onRestore(boardOf(one.body))}>
                  Restore
                </Button>
              )}
            </Group>
          </Paper>
        ))}
      </Stack>
    </Drawer>
  );
}
