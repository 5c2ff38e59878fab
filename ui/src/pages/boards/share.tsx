import {
  Badge,
  Button,
  Checkbox,
  Code,
  CopyButton,
  Drawer,
  Group,
  Paper,
  Select,
  Stack,
  Text,
  TextInput,
  Title,
} from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { call, projectPath } from "../../api/client";
import type { Condition } from "../../api/types";
import { FilterChips } from "../../components/filters/filter-chips";
import { Empty, ErrorNote, RowsSkeleton } from "../../components/states";
import { moment } from "../../format";
import { useProject } from "../../state/url";

interface SharedLink {
  id: string;
  label: string;
  filters: Condition[];
  embed: boolean;
  signing: boolean;
  created_by: string;
  created_at: string;
  expires: string | null;
  revoked_at: string | null;
}

type MadeLink = SharedLink & { token: string; secret: string };

const DAYS = [
  { value: "1", label: "1 day" },
  { value: "7", label: "7 days" },
  { value: "30", label: "30 days" },
  { value: "365", label: "1 year" },
  { value: "0", label: "It is revoked" },
];

/** Who may see a board: colleagues by its address, others by links. */
export function Share({
  board,
  opened,
  onClose,
  may,
}: {
  board: string;
  opened: boolean;
  onClose: () => void;
  may: boolean;
}) {
  const project = useProject();
  const path = projectPath(project.id, "boards", board, "links");
  const links = useQuery({
    queryKey: ["links", project.id, board],
    queryFn: () => call<SharedLink[]>(path),
    enabled: opened && may,
  });
  const [made, setMade] = useState<MadeLink | null>(null);
  return (
    <Drawer opened={opened} onClose={onClose} title="Share" position="right" size="lg">
      <Stack gap="lg">
        <section>
          <Title order={3} mb="xs">
            Inside
          </Title>
          <Text c="dimmed" mb="sm">
            Whoever is a member of {project.name} sees the board at its address, with the range and the filters that are
            chosen now.
          </Text>
          <Copy text={window.location.href} label="Copy the address" />
        </section>
        {may && (
          <section>
            <Title order={3} mb="xs">
              Outside
            </Title>
            <Text c="dimmed" mb="sm">
              By a link one sees this board alone, without an account: answers, never the people behind them.
            </Text>
            <Stack gap="md">
              {made ? (
                <Made link={made} onDone={() => setMade(null)} />
              ) : (
                <NewLink path={path} onMade={setMade} board={board} />
              )}
              {links.isError && <ErrorNote error={links.error} onRetry={() => void links.refetch()} />}
              {links.isPending && <RowsSkeleton rows={2} />}
              {links.data?.length === 0 && <Empty title="Nobody outside sees it" />}
              {(links.data ?? []).map((link) => (
                <OneLink key={link.id} link={link} path={path} board={board} />
              ))}
            </Stack>
          </section>
        )}
      </Stack>
    </Drawer>
  );
}

function NewLink({ path, board, onMade }: { path: string; board: string; onMade: (link: MadeLink) => void }) {
  const project = useProject();
  const client = useQueryClient();
  const [label, setLabel] = useState("");
  const [days, setDays] = useState("30");
  const [filters, setFilters] = useState<Condition[]>([]);
  const [embed, setEmbed] = useState(false);
  const [signing, setSigning] = useState(false);
  const make = useMutation({
    mutationFn: () => {
      const expires = days === "0" ? null : new Date(Date.now() + Number(days) * 86_400_000).toISOString();
      return call<MadeLink>(path, {
        method: "POST",
        body: { label, expires, filters, embed, signing: embed && signing },
      });
    },
    onSuccess: (link) => {
      onMade(link);
      void client.invalidateQueries({ queryKey: ["links", project.id, board] });
    },
  });
  return (
    <Paper p="md">
      <Stack gap="sm">
        <Group grow align="flex-start">
          <TextInput
            label="For whom"
            maxLength={200}
            value={label}
            onChange={(event) => setLabel(event.currentTarget.value)}
          />
          <Select
            label="Until"
            data={DAYS}
            value={days}
            onChange={(value) => value && setDays(value)}
            allowDeselect={false}
          />
        </Group>
        <div>
          <Text fw={500} mb={4}>
            Only events where
          </Text>
          <FilterChips project={project.id} value={filters} onChange={setFilters} />
        </div>
        <Checkbox
          label="Other sites may show it within their pages"
          checked={embed}
          onChange={(event) => setEmbed(event.currentTarget.checked)}
        />
        {embed && (
          <Checkbox
            label="Each viewer gets a filter that the other site signs"
            description="For a page of a customer’s own numbers, say. The link then shows nothing without a signed filter."
            checked={signing}
            onChange={(event) => setSigning(event.currentTarget.checked)}
          />
        )}
        {make.isError && <ErrorNote error={make.error} />}
        <Group justify="flex-end">
          <Button onClick={() => make.mutate()} loading={make.isPending}>
            Make a link
          </Button>
        </Group>
      </Stack>
    </Paper>
  );
}

function Made({ link, onDone }: { link: MadeLink; onDone: () => void }) {
  const address = new URL(`${import.meta.env.BASE_URL}shared/${link.token}`, window.location.href).href;
  const frame = `<iframe src="${address}" width="100%" height="800" style="border:0" title="Board"></iframe>`;
  return (
    <Paper p="md" role="status">
      <Stack gap="sm">
        <Text>This is the only moment when the link can be read. Send it, or keep it.</Text>
        <Code block>{address}</Code>
        <Copy text={address} label="Copy the link" />
        {link.embed && (
          <>
            <Code block>{frame}</Code>
            <Copy text={frame} label="Copy for another page" />
          </>
        )}
        {link.secret && (
          <>
            <Text>
              The other site’s server signs filters with this secret; it must not stand on a page. docs/sharing.md has
              the form.
            </Text>
            <Code block>{link.secret}</Code>
            <Copy text={link.secret} label="Copy the secret" />
          </>
        )}
        <Group justify="flex-end">
          <Button variant="default" onClick={onDone}>
            Done
          </Button>
        </Group>
      </Stack>
    </Paper>
  );
}

function OneLink({ link, path, board }: { link: SharedLink; path: string; board: string }) {
  const project = useProject();
  const client = useQueryClient();
  const revoke = useMutation({
    mutationFn: () => call(`${path}/${encodeURIComponent(link.id)}`, { method: "DELETE" }),
    onSuccess: () => client.invalidateQueries({ queryKey: ["links", project.id, board] }),
  });
  const over = link.revoked_at !== null || (link.expires !== null && new Date(link.expires).getTime() < Date.now());
  const until = link.revoked_at
    ? `revoked ${moment(link.revoked_at, project.zone)}`
    : link.expires
      ? `${over ? "ended" : "until"} ${moment(link.expires, project.zone)}`
      : "until it is revoked";
  return (
    <Paper p="sm">
      <Group justify="space-between" wrap="nowrap">
        <div style={{ minWidth: 0 }}>
          <Group gap="sm">
            <Text fw={500} style={{ overflowWrap: "anywhere" }}>
              {link.label || "No name"}
            </Text>
            {over && (
              <Badge variant="default" tt="none">
                over
              </Badge>
            )}
            {link.embed && (
              <Badge variant="default" tt="none">
                {link.signing ? "embedded, signed" : "embedded"}
              </Badge>
            )}
          </Group>
          <Text size="sm" c="dimmed">
            By {link.created_by}, {until}
          </Text>
          {link.filters.length > 0 && (
            <FilterChips project={project.id} value={link.filters} onChange={() => undefined} editable={false} />
          )}
        </div>
        {!over && (
          <Button size="xs" variant="default" color="red" onClick={() => revoke.mutate()} loading={revoke.isPending}>
            Revoke
          </Button>
        )}
      </Group>
      {revoke.isError && <ErrorNote error={revoke.error} />}
    </Paper>
  );
}

function Copy({ text, label }: { text: string; label: string }) {
  return (
    <CopyButton value={text}>
      {({ copied, copy }) => (
        <Button variant="default" size="xs" onClick={copy} w="fit-content">
          {copied ? "Copied" : label}
        </Button>
      )}
    </CopyButton>
  );
}
