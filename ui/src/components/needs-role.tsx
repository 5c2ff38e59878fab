import type { Role } from "../api/me";
import { Empty } from "./states";

const WHO: Record<Role, string> = { viewer: "a viewer", analyst: "an analyst", admin: "an admin", owner: "an owner" };

/** Stands where somebody's role does not reach, and says whom to ask. */
export function NeedsRole({ needed, role, what }: { needed: Role; role: Role | undefined; what: string }) {
  return (
    <Empty title={`This needs the role ${needed}`}>
      {what} {role ? `You are ${WHO[role]} of this project; ` : ""}
      {role ? "an" : "An"} {needed === "owner" ? "owner" : "admin or owner"} can give you another role under Settings,
      Members.
    </Empty>
  );
}
