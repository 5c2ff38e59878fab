import type { Almanac, Properties } from "./types";

const MARK = "data-almanac";
const CLICKABLE =
  "a[href],area[href],button,summary,[role=button],[role=link],input[type=submit],input[type=button],input[type=image]";
const LONGEST = 80;

/**
 * Tells of clicks and of forms that are sent: with "marked" those whose element has `data-almanac="Name of the event"`, with "all" every
 * link, button and form besides. Nothing inside `data-almanac-ignore` is told, and never what somebody typed. Gives the way to stop it.
 */
export function autocapture(client: Almanac, mode: "marked" | "all"): () => void {
  const click = (event: Event) => {
    const target = elementOf(event);
    const marked = target?.closest(`[${MARK}]:not(form)`);
    if (!target || target.closest(`[${MARK}-ignore]`)) return;
    if (marked) return mark(client, marked);
    const found = mode === "all" && target.closest(CLICKABLE);
    if (found) client.track("click", described(found));
  };
  const submit = (event: Event) => {
    const form = elementOf(event);
    if (!(form instanceof HTMLFormElement) || form.closest(`[${MARK}-ignore]`)) return;
    if (form.hasAttribute(MARK)) mark(client, form);
    else if (mode === "all")
      client.track("form_submit", {
        form: form.id || form.getAttribute("name") || undefined,
        action: bare(form.action),
        method: form.method,
      });
  };
  // Before the page's own listeners, which may stop the event or take the element away.
  addEventListener("click", click, true);
  addEventListener("submit", submit, true);
  return () => {
    removeEventListener("click", click, true);
    removeEventListener("submit", submit, true);
  };
}

/** The element of an event, also inside an open shadow tree. */
function elementOf(event: Event): Element | undefined {
  const target = event.composedPath()[0];
  return target instanceof Element ? target : undefined;
}

function mark(client: Almanac, element: Element): void {
  client.track(element.getAttribute(MARK) || "click", propertiesOf(element));
}

/** What the attributes `data-almanac-*` say: `data-almanac-ticket-price="12.5"` is `ticket_price: 12.5`. */
export function propertiesOf(element: Pick<Element, "getAttributeNames" | "getAttribute">): Properties {
  const found: Properties = {};
  for (const name of element.getAttributeNames())
    if (name.startsWith(`${MARK}-`)) {
      const text = element.getAttribute(name) ?? "";
      const number = /^-?(0|[1-9]\d{0,14})(\.\d+)?$/.test(text);
      found[name.slice(MARK.length + 1).replaceAll("-", "_")] = number ? Number(text) : text;
    }
  return found;
}

function described(element: Element): Properties {
  const href = element instanceof HTMLAnchorElement ? element.href : "";
  const typed = element instanceof HTMLInputElement && element.value; // of a button, which nobody types into
  const text = (element.getAttribute("aria-label") || typed || element.textContent || "").replace(/\s+/g, " ").trim();
  return {
    element: element.localName,
    text: text.slice(0, LONGEST) || undefined,
    id: element.id || undefined,
    href: href ? bare(href) : undefined,
    outbound: href.startsWith("http") ? new URL(href).host !== location.host || undefined : undefined,
  };
}

/** An address without what people may have typed into it. */
const bare = (address: string): string => address.replace(/[?#].*/, "");
