/** The value of `work`, or what `otherwise` makes of its failure: browsers refuse storage and more, each in its own way. */
export function attempt<T>(work: () => T, otherwise?: (error: unknown) => void): T | undefined {
  try {
    return work();
  } catch (error) {
    otherwise?.(error);
    return undefined;
  }
}
