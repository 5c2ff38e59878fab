import { Switch } from "@mantine/core";
import { RangePicker } from "../../components/range-picker";
import { useProject, useView } from "../../state/url";

/** Which range, and whether the one before stands beside it. */
export function Bar() {
  const project = useProject();
  const { range, setRange, compare, setCompare } = useView();
  return (
    <>
      <Switch
        label="Compare"
        title="Draw the range before beside it, dashed"
        checked={compare}
        onChange={(event) => setCompare(event.currentTarget.checked)}
      />
      <RangePicker
        value={range}
        onChange={(next) => setRange(next, { push: true })}
        zone={project.zone}
        weekStart={project.weekStart}
      />
    </>
  );
}
