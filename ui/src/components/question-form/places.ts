/** Where in a question a refusal belongs. */

/** The place as the server names it; one that only names the end of a path ("property") stands for the one path that ends so. */
export function placedIn(question: Record<string, unknown>, place: string): string {
  const first = place.split(".")[0] ?? "";
  if (place === "" || first in question) return place;
  const found = paths(question).filter((path) => path.endsWith(`.${place}`));
  return found.length === 1 && found[0] ? found[0] : place;
}

function paths(value: unknown, above = ""): string[] {
  if (value === null || typeof value !== "object") return [];
  return Object.entries(value).flatMap(([name, item]) => {
    const path = above ? `${above}.${name}` : name;
    return [path, ...paths(item, path)];
  });
}
