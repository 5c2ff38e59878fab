/** What stands around every page of a project: the rail, the top bar, the search. */

import { AppShell, Box, Button, Group, Text, Tooltip, UnstyledButton } from "@mantine/core";
import { useLocalStorage, useMediaQuery } from "@mantine/hooks";
import {
  IconChartHistogram,
  IconDatabase,
  IconHome,
  IconLayoutDashboard,
  IconLayoutSidebarLeftCollapse,
  IconLayoutSidebarLeftExpand,
  IconSettings,
  IconUsers,
} from "@tabler/icons-react";
import { useEffect } from "react";
import { Link, NavLink, Outlet } from "react-router";
import { useLiveState } from "../api/live";
import { useMe } from "../api/me";
import { Empty } from "../components/states";
import { useProject } from "../state/url";
import classes from "./frame.module.css";
import { Search } from "./search";
import { TopBar } from "./top-bar";

export const PLACES = [
  { to: "home", label: "Home", icon: IconHome },
  { to: "boards", label: "Boards", icon: IconLayoutDashboard },
  { to: "explore", label: "Explore", icon: IconChartHistogram },
  { to: "people", label: "People", icon: IconUsers },
  { to: "data", label: "Data", icon: IconDatabase },
  { to: "settings", label: "Settings", icon: IconSettings },
] as const;

export function Frame() {
  const project = useProject();
  const [narrow, setNarrow] = useLocalStorage({
    key: "almanac.rail",
    defaultValue: false,
    getInitialValueInEffect: false,
  });
  const phone = useMediaQuery("(max-width: 48em)", window.matchMedia("(max-width: 48em)").matches, {
    getInitialValueInEffect: false,
  });
  const { data: me } = useMe();
  const entered = me?.projects.some((one) => one.id === project.id) ?? true;
  useEffect(() => {
    if (entered) window.localStorage.setItem("almanac.project", project.id);
  }, [entered, project.id]);
  return (
    <AppShell
      padding={0}
      layout="alt"
      header={{ height: 56 }}
      navbar={{ width: narrow ? 56 : 200, breakpoint: "sm", collapsed: { mobile: true } }}
      {...(phone ? { footer: { height: 56 } } : {})}
      transitionDuration={0}
    >
      <a href="#content" className={classes.skip}>
        Skip to the content
      </a>
      <AppShell.Header className={classes.header}>
        <TopBar />
      </AppShell.Header>
      <AppShell.Navbar className={classes.rail}>
        <NavLink to="home" className={classes.brand} aria-label="Almanac, home">
          <img src={`${import.meta.env.BASE_URL}icon.svg`} alt="" width={24} height={24} />
          {!narrow && <Text fw={600}>Almanac</Text>}
        </NavLink>
        <nav aria-label="Places" className={classes.places}>
          {PLACES.map((place) => (
            <Place key={place.to} {...place} narrow={narrow} />
          ))}
        </nav>
        <UnstyledButton
          className={classes.fold}
          onClick={() => setNarrow(!narrow)}
          aria-label={narrow ? "Widen the rail" : "Fold the rail"}
        >
          {narrow ? <IconLayoutSidebarLeftExpand size={18} /> : <IconLayoutSidebarLeftCollapse size={18} />}
          {!narrow && <span>Fold</span>}
        </UnstyledButton>
      </AppShell.Navbar>
      <AppShell.Main>
        <Offline />
        <Box id="content" tabIndex={-1} className={classes.content}>
          {entered ? <Outlet /> : <NoEntry />}
        </Box>
      </AppShell.Main>
      {phone && (
        <AppShell.Footer>
          <Group component="nav" aria-label="Places" className={classes.bottom} gap={0} wrap="nowrap">
            {PLACES.map(({ to, label, icon: Icon }) => (
              <NavLink key={to} to={to} className={classes.tab ?? ""}>
                <Icon size={20} stroke={1.6} aria-hidden />
                <span>{label}</span>
              </NavLink>
            ))}
          </Group>
        </AppShell.Footer>
      )}
      <Search />
    </AppShell>
  );
}

/** The project is gone, or whoever looks has no way into it (any more). */
function NoEntry() {
  return (
    <Empty
      title="There is no project here for you"
      action={
        <Button component={Link} to="/projects">
          Your projects
        </Button>
      }
    >
      It was deleted, or you are not a member of it. Its owner can invite you.
    </Empty>
  );
}

function Place({
  to,
  label,
  icon: Icon,
  narrow,
}: {
  to: string;
  label: string;
  icon: typeof IconHome;
  narrow: boolean;
}) {
  const link = (
    <NavLink to={to} className={classes.place ?? ""} aria-label={label}>
      <Icon size={18} stroke={1.6} aria-hidden />
      {!narrow && <span>{label}</span>}
    </NavLink>
  );
  return narrow ? (
    <Tooltip label={label} position="right">
      {link}
    </Tooltip>
  ) : (
    link
  );
}

/** Said while live answers are tried in vain; it goes by itself. */
function Offline() {
  const state = useLiveState();
  if (state !== "waiting") return null;
  return (
    <div role="status" className={classes.offline}>
      The server cannot be reached. Numbers stay as they were; they come back by themselves.
    </div>
  );
}
