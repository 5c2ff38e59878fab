import { PageHead } from "../../components/states";

export function Component() {
  return <PageHead title="Person" />;
}
