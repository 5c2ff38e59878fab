import { useParams } from "react-router";
import { RouteTabs } from "../../components/route-tabs";
import { Empty, PageHead } from "../../components/states";
import { AnnotationsTab } from "./annotations";
import { CatalogTab } from "./catalog";
import { DeadLettersTab } from "./dead-letters";
import { EventsTab } from "./events";
import { LedgerTab } from "./ledger";
import { MetricsTab } from "./metrics";
import { PlanTab } from "./plan";
import { SegmentsTab } from "./segments";
import { SourcesTab } from "./sources";

const TABS = [
  { to: "events", label: "Events", page: EventsTab },
  { to: "catalog", label: "Catalog", page: CatalogTab },
  { to: "plan", label: "Tracking plan", page: PlanTab },
  { to: "segments", label: "Segments", page: SegmentsTab },
  { to: "metrics", label: "Metrics", page: MetricsTab },
  { to: "sources", label: "Sources", page: SourcesTab },
  { to: "annotations", label: "Annotations", page: AnnotationsTab },
  { to: "dead-letters", label: "Dead letters", page: DeadLettersTab },
  { to: "ledger", label: "Ledger", page: LedgerTab },
];

/** What comes in, what it looks like, what it is called, and whether all of it arrived. */
export function Component() {
  const { tab } = useParams();
  const Page = TABS.find(({ to }) => to === tab)?.page;
  return (
    <>
      <PageHead title="Data" />
      <RouteTabs label="Data" tabs={TABS} />
      {Page ? <Page /> : <Empty title="There is no such page">Choose one of the tabs above.</Empty>}
    </>
  );
}
