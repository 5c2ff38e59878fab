/** One visit: from the first event to a pause. Times in ms since 1970. */
export interface Session {
  id: string;
  begun: number;
  active: number;
}

const LONGEST = 864e5;

/** The session that an event at `now` belongs to: the last one, or a new one after `idle` ms without events or a whole day of it. */
export function sessionAt(
  last: Session | undefined,
  now: number,
  idle: number,
  make: (now: number) => string,
): Session {
  if (last && Math.abs(now - last.active) <= idle && now - last.begun < LONGEST)
    return { ...last, active: Math.max(now, last.active) };
  return { id: make(now), begun: now, active: now };
}
