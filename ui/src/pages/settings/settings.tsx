import { useParams } from "react-router";
import { useMe } from "../../api/me";
import { RouteTabs } from "../../components/route-tabs";
import { Empty, PageHead } from "../../components/states";
import { AccountTab } from "./account";
import { KeysTab } from "./keys";
import { MembersTab } from "./members";
import { ProjectTab } from "./project";
import { ServerTab } from "./server";

const TABS = [
  { to: "project", label: "Project", page: ProjectTab },
  { to: "keys", label: "Keys", page: KeysTab },
  { to: "members", label: "Members", page: MembersTab },
  { to: "server", label: "Server", page: ServerTab },
  { to: "account", label: "Account", page: AccountTab },
];

/** The project, its keys and members; the server; one's own account. */
export function Component() {
  const { tab } = useParams();
  const { data: me } = useMe();
  const shown = TABS.filter(({ to }) => to !== "server" || me?.user?.owner);
  const Page = shown.find(({ to }) => to === tab)?.page;
  return (
    <>
      <PageHead title="Settings" />
      <RouteTabs label="Settings" tabs={shown} />
      {Page ? <Page /> : <Empty title="There is no such page">Choose one of the tabs above.</Empty>}
    </>
  );
}
