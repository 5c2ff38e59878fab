/** Page views of a site of any kind, and the moments at which a page is left. */

/** Where a view was, and where it came from. */
export interface View {
  at: number;
  url: string;
  referrer: string;
}

const SETTLED = 50; // ms that frameworks take to give a new page its title

export interface Views {
  /** The page before this one: of another site, or of this one. */
  referrer(): string;
  /** Tells of the view that waits for its title, now. */
  settle(): void;
}

/** Tells of each page view. With `by` false of none; with "hash", a new `#` is a page too. */
export function viewsOf(by: boolean | "hash", tell: (view: View) => void): Views {
  let { referrer } = document;
  let here = location.href;
  let waiting: View | undefined;
  let timer = 0;
  const place = () => location.pathname + (by === "hash" ? location.hash : "");
  let path = place();

  const settle = () => {
    clearTimeout(timer);
    const view = waiting;
    waiting = undefined;
    if (view) tell(view);
  };
  const show = () => {
    settle();
    waiting = { at: Date.now(), url: location.href, referrer };
    timer = setTimeout(settle, SETTLED);
  };
  const moved = () => {
    const came = here;
    here = location.href;
    if (path === place()) return;
    path = place();
    referrer = came;
    show();
  };
  if (by) {
    for (const name of ["pushState", "replaceState"] as const) {
      const real = history[name];
      history[name] = function (...given) {
        real.apply(this, given);
        moved();
      };
    }
    addEventListener("popstate", moved);
    addEventListener("hashchange", moved);
    addEventListener("pageshow", (event) => event.persisted && show()); // back, and out of the browser's memory
    show();
  }
  return { referrer: () => referrer, settle };
}
