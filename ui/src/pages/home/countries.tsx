import { useState } from "react";
import { useAnswer } from "../../api/ask";
import type { Row } from "../../api/types";
import { countryName } from "../../charts";
import { ChartView } from "../../components/chart-view";
import { AllRows } from "./all-rows";
import type { ListOf } from "./lists";
import * as ask from "./questions";
import { ListCard, ListSkeleton, RankedList } from "./ranked";
import { byValue, filterOf } from "./rows";

const PROPERTY = "@country";
const HEADS: [string, string] = ["Country", "People"];
const MOST = 300;

type Shown = "map" | "list";

/** Where people are: a map, and the same as a list. */
export function Countries({ project, view, people, onPick }: ListOf) {
  const [shown, setShown] = useState<Shown>("map");
  const [whole, setWhole] = useState(false);
  const question = ask.peopleBy(PROPERTY, view, MOST);
  const answer = useAnswer(project, question, { refresh: 60_000 });
  const read = (found: typeof answer.data) => byValue(found, PROPERTY, "value", { name: countryName });
  const rows = answer.data && read(answer.data);
  const known = rows?.some(({ filter }) => filter?.value !== undefined);
  return (
    <ListCard
      title="Countries"
      tabs={[
        { value: "map", label: "Map" },
        { value: "list", label: "List" },
      ]}
      tab={shown}
      onTab={setShown}
      onMore={shown === "list" && rows && rows.length > 9 ? () => setWhole(true) : undefined}
    >
      {shown === "map" && answer.data && known ? (
        <ChartView
          answer={answer.data}
          question={question}
          type="map"
          height={320}
          compact
          onPick={(row: Row) => {
            const filter = filterOf(PROPERTY, String(row.breakdown ?? ""));
            if (filter) onPick(filter);
          }}
        />
      ) : shown === "map" && answer.isPending ? (
        <ListSkeleton />
      ) : (
        <RankedList
          rows={rows}
          heads={HEADS}
          of={people}
          stale={answer.isPlaceholderData}
          error={answer.error}
          empty="No event of this range says where it came from."
          onPick={onPick}
        />
      )}
      {whole && (
        <AllRows
          title="Countries"
          project={project}
          question={question}
          read={read}
          heads={HEADS}
          of={people}
          onPick={onPick}
          onClose={() => setWhole(false)}
        />
      )}
    </ListCard>
  );
}
