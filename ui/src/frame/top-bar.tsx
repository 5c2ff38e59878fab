import {
  ActionIcon,
  Avatar,
  Button,
  Group,
  Kbd,
  Menu,
  Select,
  Text,
  Tooltip,
  useMantineColorScheme,
} from "@mantine/core";
import { IconLogout, IconMoon, IconPlus, IconSearch, IconSun, IconUser } from "@tabler/icons-react";
import { useNavigate } from "react-router";
import { call } from "../api/client";
import { useBecome, useMe } from "../api/me";
import { useProject } from "../state/url";
import { openSearch } from "./search";

/** Which project, its zone, the search, and who is signed in. */
export function TopBar() {
  const project = useProject();
  const { data: me } = useMe();
  const go = useNavigate();
  return (
    <Group h="100%" px="md" justify="space-between" wrap="nowrap" gap="sm">
      <Group gap="sm" wrap="nowrap" style={{ minWidth: 0 }}>
        <Select
          aria-label="Project"
          data={[
            ...(me?.projects ?? []).map((one) => ({ value: one.id, label: one.name })),
            { value: "", label: "All projects …" },
          ]}
          value={project.id}
          onChange={(id) => go(id ? `/p/${encodeURIComponent(id)}/home` : "/projects")}
          allowDeselect={false}
          searchable
          w={{ base: 140, sm: 200 }}
        />
        <Tooltip label="Days begin and end in this zone; change it under Settings.">
          <Text c="dimmed" size="sm" visibleFrom="sm" truncate tabIndex={0}>
            {project.zone}
          </Text>
        </Tooltip>
      </Group>
      <Group gap="sm" wrap="nowrap">
        <Button
          variant="default"
          onClick={openSearch}
          leftSection={<IconSearch size={16} aria-hidden />}
          rightSection={<Kbd size="xs">Ctrl K</Kbd>}
          visibleFrom="sm"
          c="dimmed"
          fw={400}
        >
          Search
        </Button>
        <ActionIcon variant="default" size="lg" onClick={openSearch} aria-label="Search" hiddenFrom="sm">
          <IconSearch size={18} />
        </ActionIcon>
        <Who />
      </Group>
    </Group>
  );
}

function Who() {
  const { data: me } = useMe();
  const become = useBecome();
  const go = useNavigate();
  const { id } = useProject();
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const dark =
    colorScheme === "dark" || (colorScheme === "auto" && window.matchMedia("(prefers-color-scheme: dark)").matches);
  if (!me?.user) return null;
  const words = (me.user.name || me.user.email).split(/\s+/).filter(Boolean);
  const initials = words
    .slice(0, 2)
    .map((word) => [...word][0]?.toUpperCase())
    .join("");
  async function leave() {
    await call("/api/v1/session", { method: "DELETE" });
    await become();
    go("/sign-in");
  }
  return (
    <Menu position="bottom-end" width={220}>
      <Menu.Target>
        <ActionIcon variant="subtle" size="lg" radius="xl" aria-label={`${initials}: account`}>
          <Avatar size={30} radius="xl" variant="filled" color="accent">
            {initials}
          </Avatar>
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>{me.user.email}</Menu.Label>
        <Menu.Item
          leftSection={<IconUser size={16} />}
          onClick={() => go(`/p/${encodeURIComponent(id)}/settings/account`)}
        >
          Account
        </Menu.Item>
        <Menu.Item
          leftSection={dark ? <IconSun size={16} /> : <IconMoon size={16} />}
          onClick={() => setColorScheme(dark ? "light" : "dark")}
        >
          {dark ? "Light theme" : "Dark theme"}
        </Menu.Item>
        <Menu.Item leftSection={<IconPlus size={16} />} onClick={() => go("/projects")}>
          Projects
        </Menu.Item>
        <Menu.Divider />
        <Menu.Item leftSection={<IconLogout size={16} />} onClick={() => void leave()}>
          Sign out
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
