import { Select } from "@mantine/core";
import { atLeast, type Role } from "../../api/me";
import { useProject } from "../../state/url";

export const ROLE_WORDS: Record<Role, string> = {
  viewer: "looks and asks",
  analyst: "also saves questions, boards, metrics and segments",
  admin: "also manages keys, members and settings",
  owner: "everything, deleting the project too",
};

/** The roles that somebody of this role may give. */
export function rolesToGive(role: Role | undefined) {
  return (Object.keys(ROLE_WORDS) as Role[])
    .filter((one) => one !== "owner" || atLeast(role, "owner"))
    .map((one) => ({ value: one, label: one }));
}

/** How a role reads beside a choice of it. */
export function RoleChoice({ value, onChange }: { value: Role; onChange: (role: Role) => void }) {
  const project = useProject();
  return (
    <Select
      label="Role"
      description={`This role ${ROLE_WORDS[value]}.`}
      data={rolesToGive(project.role)}
      value={value}
      onChange={(role) => role && onChange(role as Role)}
      allowDeselect={false}
    />
  );
}
