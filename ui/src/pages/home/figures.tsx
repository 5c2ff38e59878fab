import { Group, Skeleton, Text, UnstyledButton } from "@mantine/core";
import { withinNoise } from "../../charts/units";
import { change, duration, MISSING, percent, short, whole } from "../../format";
import classes from "./home.module.css";
import type { Figure } from "./questions";

export interface Shown {
  figure: Figure;
  label: string;
  now: number | null | undefined;
  before: number | null | undefined;
  /** Of a rate: how many it is of, now and before. */
  of?: [number, number] | undefined;
}

const LESS_IS_BETTER = new Set<Figure>(["bounce"]);
const COUNTS = new Set<Figure>(["people", "sessions", "views", "events"]);

export function read(figure: Figure, value: number | null | undefined, full = false): string {
  if (figure === "bounce") return percent(value);
  if (figure === "length") return duration(value === null || value === undefined ? value : Math.round(value));
  if (figure === "depth" || figure === "pages")
    return value === null || value === undefined ? MISSING : value.toFixed(1);
  return full ? whole(value) : short(value);
}

/** The figures of the range; the chosen one is drawn below. */
export function Figures({
  figures,
  chosen,
  pending,
  onChoose,
}: {
  figures: Shown[];
  chosen: Figure;
  pending: boolean;
  onChoose: (figure: Figure) => void;
}) {
  return (
    <fieldset className={classes.figures} style={{ border: 0, margin: 0, padding: 0 }} aria-label="Figures">
      {figures.map((shown) => (
        <UnstyledButton
          key={shown.figure}
          className={classes.figure}
          aria-pressed={shown.figure === chosen}
          onClick={() => onChoose(shown.figure)}
        >
          <Text size="sm" c="dimmed" component="span" display="block">
            {shown.label}
          </Text>
          {pending ? (
            <Skeleton height={24} width={88} mt={4} />
          ) : (
            <Group gap="sm" align="baseline" wrap="wrap" component="span">
              <span className={classes.value} title={read(shown.figure, shown.now, true)}>
                {read(shown.figure, shown.now)}
              </span>
              <Change {...shown} />
            </Group>
          )}
        </UnstyledButton>
      ))}
    </fieldset>
  );
}

/** Whether chance alone would make it: within two standard errors of the difference of two shares, by the normal approximation. */
export function rateWithinNoise(now: number, before: number, [count, countBefore]: [number, number]): boolean {
  if (count <= 0 || countBefore <= 0) return true;
  const error = Math.sqrt((now * (1 - now)) / count + (before * (1 - before)) / countBefore);
  return Math.abs(now - before) <= 2 * error;
}

/** A change of a rate, in percentage points. */
function points(rate: number): string {
  const value = Math.abs(rate * 100).toFixed(1);
  return value === "0.0" ? "0 points" : `${rate > 0 ? "+" : "−"}${value} points`;
}

/** The change against the range before: with its sign, in grey where chance alone would make it. */
function Change({ figure, now, before, of }: Shown) {
  if (now === null || now === undefined || before === null || before === undefined) return null;
  const said = figure === "bounce" ? points(now - before) : change(now, before);
  if (said === MISSING) return null;
  const noise = COUNTS.has(figure) ? withinNoise(now, before, "count") : of ? rateWithinNoise(now, before, of) : false;
  const better = LESS_IS_BETTER.has(figure) ? now < before : now > before;
  const color = now === before || noise ? "dimmed" : better ? "var(--good)" : "var(--bad)";
  const arrow = now === before ? "" : now > before ? "↑ " : "↓ ";
  return (
    <Text
      size="sm"
      c={color}
      component="span"
      className="number"
      title={`Before: ${read(figure, before, true)}${noise ? ", within chance" : ""}`}
    >
      {arrow}
      {said}
    </Text>
  );
}
