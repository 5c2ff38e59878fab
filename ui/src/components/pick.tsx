/** Chooses one text out of many, in groups, with a search; or takes what was typed. By keyboard: Enter or arrow down opens, letters search. */

import { CloseButton, Combobox, Group, InputBase, Text, useCombobox } from "@mantine/core";
import { IconChevronDown } from "@tabler/icons-react";
import { type ReactNode, useState } from "react";
import classes from "./pick.module.css";

export interface PickOption {
  value: string;
  label: string;
  /** A word at the right: how many, which type. */
  about?: string;
}

export interface PickGroup {
  label: string;
  options: PickOption[];
}

interface Props {
  groups: PickGroup[];
  /** What stands in the field; "" shows the placeholder. */
  shown: string;
  onPick: (value: string) => void;
  placeholder: string;
  label: string;
  /** What typed text that is no option would become; none: only options can be chosen. */
  typed?: (text: string) => PickOption[];
  onSearch?: (text: string) => void;
  error?: ReactNode;
  loading?: boolean;
  nothing?: string;
  disabled?: boolean;
  autoFocus?: boolean;
  /** Makes it empty again, by a cross in the field. */
  onClear?: (() => void) | undefined;
}

/** Longer lists are searched, not scrolled. */
const MOST = 100;

export function Pick({
  groups,
  shown,
  onPick,
  placeholder,
  label,
  typed,
  onSearch,
  error,
  loading,
  nothing,
  disabled,
  autoFocus,
  onClear,
}: Props) {
  const [search, setSearch] = useState("");
  const combobox = useCombobox({
    onDropdownOpen: () => combobox.focusSearchInput(),
    onDropdownClose: () => {
      combobox.resetSelectedOption();
      seek("");
      combobox.focusTarget();
    },
  });
  const seek = (text: string) => {
    setSearch(text);
    onSearch?.(text);
    combobox.updateSelectedOptionIndex();
  };
  const found = searched(groups, search);
  const exact = groups.some((group) =>
    group.options.some((option) => option.label === search.trim() || option.value === search.trim()),
  );
  const extra = search.trim() && !exact ? (typed?.(search.trim()) ?? []) : [];
  const empty = found.length === 0 && extra.length === 0;
  return (
    <Combobox
      store={combobox}
      withinPortal
      width="max-content"
      position="bottom-start"
      onOptionSubmit={(value) => {
        onPick(value);
        combobox.closeDropdown();
      }}
    >
      <Combobox.Target targetType="button">
        <InputBase
          component="button"
          type="button"
          pointer
          className={classes.target ?? ""}
          aria-label={shown ? `${label}: ${shown}` : `${label}: ${placeholder}`}
          rightSection={
            onClear && shown ? (
              <CloseButton size="sm" aria-label={`Clear ${label.toLowerCase()}`} onClick={onClear} />
            ) : (
              <IconChevronDown size={14} aria-hidden />
            )
          }
          rightSectionPointerEvents={onClear && shown ? "all" : "none"}
          onClick={() => combobox.toggleDropdown()}
          error={error}
          disabled={disabled ?? false}
          data-autofocus={autoFocus || undefined}
        >
          <Text span truncate display="block" {...(shown ? {} : { c: "dimmed" })} title={shown}>
            {shown || placeholder}
          </Text>
        </InputBase>
      </Combobox.Target>
      <Combobox.Dropdown className={classes.dropdown ?? ""}>
        <Combobox.Search
          value={search}
          onChange={(event) => seek(event.currentTarget.value)}
          placeholder="Search"
          aria-label={`${label}, search`}
        />
        <Combobox.Options mah={280} className={classes.options ?? ""} aria-label={label}>
          {found.map((group) => (
            <Combobox.Group key={group.label} label={group.label}>
              {group.options.map((option) => (
                <Option key={option.value} option={option} />
              ))}
            </Combobox.Group>
          ))}
          {extra.map((option) => (
            <Option key={option.value} option={option} />
          ))}
          {empty && (
            <Combobox.Empty>
              {loading ? "Loading" : search ? "Nothing has this name" : (nothing ?? "There is nothing yet")}
            </Combobox.Empty>
          )}
        </Combobox.Options>
      </Combobox.Dropdown>
    </Combobox>
  );
}

function Option({ option }: { option: PickOption }) {
  return (
    <Combobox.Option value={option.value}>
      <Group justify="space-between" wrap="nowrap" gap="md">
        <Text span truncate title={option.label} maw={360}>
          {option.label}
        </Text>
        {option.about && (
          <Text span size="xs" c="dimmed" className="number" style={{ whiteSpace: "nowrap" }}>
            {option.about}
          </Text>
        )}
      </Group>
    </Combobox.Option>
  );
}

/** The groups with the options that hold the text, those that begin with it first; at most so many in all. */
export function searched(groups: PickGroup[], search: string, most = MOST): PickGroup[] {
  const wanted = search.trim().toLowerCase();
  let left = most;
  const found: PickGroup[] = [];
  for (const group of groups) {
    const fitting = group.options.filter((option) => option.label.toLowerCase().includes(wanted));
    const starts = (option: PickOption) => (option.label.toLowerCase().startsWith(wanted) ? 0 : 1);
    const options = (wanted ? [...fitting].sort((one, other) => starts(one) - starts(other)) : fitting).slice(0, left);
    left -= options.length;
    if (options.length) found.push({ label: group.label, options });
  }
  return found;
}
