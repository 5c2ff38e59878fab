import { Button } from "@mantine/core";
import { Link } from "react-router";
import { Empty } from "../components/states";

export function Component() {
  return (
    <Empty
      title="There is no such page"
      action={
        <Button component={Link} to="/" variant="default">
          Go to the start
        </Button>
      }
    >
      The address may have been cut short, or the thing was removed.
    </Empty>
  );
}
