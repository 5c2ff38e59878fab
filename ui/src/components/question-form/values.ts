/** Objects of a question, changed by copying. */

/** The object without these fields. */
export function without<T extends object>(given: T, ...names: string[]): T {
  return Object.fromEntries(Object.entries(given).filter(([name]) => !names.includes(name))) as T;
}

/** The object with a field set; undefined and the field's own default leave it out. */
export function withField(
  given: Record<string, unknown>,
  name: string,
  value: unknown,
  usual: unknown,
): Record<string, unknown> {
  if (value === undefined || (usual !== undefined && JSON.stringify(value) === JSON.stringify(usual)))
    return without(given, name);
  return { ...given, [name]: value };
}
