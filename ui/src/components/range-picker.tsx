/** Which days or instants: the usual ranges, so many back, a calendar, or exact times. */

import { Button, Group, NumberInput, Popover, Select, Stack, Text, TextInput, UnstyledButton } from "@mantine/core";
import { DatePicker } from "@mantine/dates";
import { useMediaQuery } from "@mantine/hooks";
import { IconCalendar, IconChevronDown } from "@tabler/icons-react";
import { useState } from "react";
import type { Range } from "../api/types";
import { counted, isMoment, lastOf, PRESETS, RANGE_UNITS, rangeWords, sameRange } from "./range";
import classes from "./range-picker.module.css";

interface Props {
  value: Range;
  onChange: (range: Range) => void;
  /** Where days begin; shown, so that nobody has to guess. */
  zone: string;
  weekStart?: string | undefined;
  /** What stands there when the range is empty, and whether it can be made so: a question's own default. */
  whenEmpty?: string;
  /** The whole width of where it stands. */
  fullWidth?: boolean;
}

export function RangePicker({ value, onChange, zone, weekStart, whenEmpty, fullWidth = false }: Props) {
  const [opened, setOpened] = useState(false);
  const phone = useMediaQuery("(max-width: 48em)") ?? false;
  const words = rangeWords(value, whenEmpty);
  const take = (range: Range) => {
    onChange(range);
    setOpened(false);
  };
  return (
    <Popover
      opened={opened}
      onChange={setOpened}
      position="bottom-start"
      trapFocus
      returnFocus
      shadow="sm"
      width={phone ? "target" : "auto"}
    >
      <Popover.Target>
        <Button
          variant="default"
          fw={400}
          fullWidth={fullWidth}
          styles={fullWidth ? { inner: { justifyContent: "flex-start" }, label: { flex: 1 } } : {}}
          leftSection={<IconCalendar size={16} aria-hidden />}
          rightSection={<IconChevronDown size={14} aria-hidden />}
          onClick={() => setOpened(!opened)}
          aria-label={`Range: ${words}`}
        >
          {words}
        </Button>
      </Popover.Target>
      <Popover.Dropdown p={0} className={classes.dropdown ?? ""} aria-label="Range">
        <Choice value={value} onTake={take} zone={zone} weekStart={weekStart} whenEmpty={whenEmpty} />
      </Popover.Dropdown>
    </Popover>
  );
}

type ChoiceProps = {
  value: Range;
  onTake: (range: Range) => void;
  zone: string;
  weekStart: string | undefined;
  whenEmpty: string | undefined;
};

function Choice({ value, onTake, zone, weekStart, whenEmpty }: ChoiceProps) {
  const presets = whenEmpty === undefined ? PRESETS : [{ label: whenEmpty, range: {} }, ...PRESETS];
  return (
    <div className={classes.choice}>
      <div className={classes.presets}>
        {presets.map((preset) => (
          <UnstyledButton
            key={preset.label}
            className={classes.preset}
            data-chosen={sameRange(preset.range, value) || undefined}
            aria-pressed={sameRange(preset.range, value)}
            onClick={() => onTake(preset.range)}
          >
            {preset.label}
          </UnstyledButton>
        ))}
      </div>
      <Stack gap="md" p="md" className={classes.own ?? ""}>
        <SoManyBack value={value} onTake={onTake} />
        <Between value={value} onTake={onTake} weekStart={weekStart} />
        <Text size="xs" c="dimmed">
          Days begin and end in {zone}. Both days count.
        </Text>
      </Stack>
    </div>
  );
}

function SoManyBack({ value, onTake }: Pick<ChoiceProps, "value" | "onTake">) {
  const [length, setLength] = useState(() => lastOf(value.last) ?? { count: 30, unit: "day" });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        event.stopPropagation();
        onTake({ last: counted(length.count, length.unit) });
      }}
    >
      <Group gap="sm" align="flex-end" wrap="nowrap">
        <NumberInput
          label="The last"
          value={length.count}
          onChange={(count) => setLength({ ...length, count: Math.max(1, Number(count) || 1) })}
          min={1}
          max={99_999}
          allowDecimal={false}
          w={88}
        />
        <Select
          aria-label="Unit"
          data={RANGE_UNITS.map((unit) => ({ value: unit, label: `${unit}s` }))}
          value={length.unit}
          onChange={(unit) => unit && setLength({ ...length, unit })}
          allowDeselect={false}
          comboboxProps={{ withinPortal: false }}
          flex={1}
        />
        <Button type="submit" variant="default">
          Take
        </Button>
      </Group>
    </form>
  );
}

const ARIA = {
  nextMonth: "Next month",
  previousMonth: "Previous month",
  monthLevelControl: "Choose a month",
  nextYear: "Next year",
  previousYear: "Previous year",
  yearLevelControl: "Choose a year",
  nextDecade: "Next decade",
  previousDecade: "Previous decade",
};

const asDay = (text: string | undefined) => (text && /^\d{4}-\d{2}-\d{2}/.test(text) ? text.slice(0, 10) : null);

function Between({ value, onTake, weekStart }: Pick<ChoiceProps, "value" | "onTake" | "weekStart">) {
  const [from, setFrom] = useState(value.date_from ?? "");
  const [to, setTo] = useState(value.date_to ?? "");
  const good = (from === "" || isMoment(from)) && (to === "" || isMoment(to)) && (from !== "" || to !== "");
  const wrong = (text: string) =>
    text && !isMoment(text) ? "Write 2026-01-31, 2026-01-31T12:00, -30d or today." : null;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        event.stopPropagation();
        if (good) onTake({ ...(from ? { date_from: from.trim() } : {}), ...(to ? { date_to: to.trim() } : {}) });
      }}
    >
      <Stack gap="sm">
        <DatePicker
          type="range"
          allowSingleDateInRange
          size="sm"
          weekendDays={[]}
          hideOutsideDates
          ariaLabels={ARIA}
          firstDayOfWeek={weekStart === "sunday" ? 0 : 1}
          value={[asDay(from), asDay(to)]}
          onChange={([first, last]) => {
            setFrom(first ?? "");
            setTo(last ?? "");
            if (first && last) onTake({ date_from: first, date_to: last });
          }}
        />
        <Group gap="sm" align="flex-start" wrap="nowrap">
          <TextInput
            label="From"
            placeholder="2026-01-31"
            value={from}
            onChange={(event) => setFrom(event.currentTarget.value)}
            error={wrong(from)}
          />
          <TextInput
            label="To"
            placeholder="now"
            value={to}
            onChange={(event) => setTo(event.currentTarget.value)}
            error={wrong(to)}
          />
        </Group>
        <Button type="submit" disabled={!good}>
          Take these
        </Button>
      </Stack>
    </form>
  );
}
