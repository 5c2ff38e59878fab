/** The write key of a project just made, for the snippets: the server tells it once only. It is forgotten with the tab. */

export function keepKey(project: string, key: string): void {
  window.sessionStorage.setItem(`almanac.key.${project}`, key);
}

export function keptKey(project: string): string {
  return window.sessionStorage.getItem(`almanac.key.${project}`) ?? "";
}
