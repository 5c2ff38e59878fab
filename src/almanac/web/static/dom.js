// Elements without innerHTML: what users' apps send is only ever text here.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** An HTML element: `h("p", {class: "quiet"}, "text", other)`. */
export const h = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);

/** The same for SVG. */
export const s = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

/** As many digits as a person reads; a large sum keeps its cents. */
const rounded = (value) => (Number.isInteger(value) ? value : Number(value.toPrecision(Math.abs(value) >= 1000 ? 7 : 4)));

/** 12934 -> "12 934", with a narrow space that doesn't break. `places`: digits after the point, so that a column lines up. */
export function full(value, places = 0) {
  if (value === null || value === undefined) return "–";
  if (typeof value !== "number") return String(value);
  const digits = String(rounded(value));
  const [whole, part] = (places && !digits.includes("e") ? Number(digits).toFixed(places) : digits).split(".");
  const grouped = whole.includes("e") ? whole : whole.replace(/\B(?=(\d{3})+$)/g, "\u202f");
  return part ? `${grouped}.${part}` : grouped;
}

/** 12934 -> "12.9 K": three digits, where a person compares. */
export function short(value) {
  if (value === null || value === undefined) return "–";
  for (const [size, unit] of [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e4, "K"]]) {
    if (Math.abs(value) >= size) {
      const by = unit === "K" ? 1e3 : size;
      return `${Number((value / by).toPrecision(3))}\u202f${unit}`;
    }
  }
  return full(value);
}

/** 0.0312 -> "3.1%". */
export function percent(rate) {
  if (rate === null || rate === undefined) return "–";
  const value = rate * 100;
  return `${value !== 0 && value < 9.95 ? value.toFixed(1) : Math.round(value)}%`;
}

/** Seconds as "2 m 14 s". */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const units = [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]];
  if (seconds < 1) return `${Number(seconds.toPrecision(2))} s`;
  const parts = [];
  let left = Math.round(seconds);
  for (const [unit, size] of units) {
    const count = Math.floor(left / size);
    left -= count * size;
    if (count && parts.length < 2) parts.push(`${count} ${unit}`);
    else if (parts.length) break;
  }
  return parts.join(" ");
}

const decimals = (value) => (typeof value === "number" ? /^-?\d+\.(\d+)$/.exec(String(rounded(value)))?.[1].length ?? 0 : 0);

/** A box that what is wider (with "tall": or longer) than it scrolls in, by keyboard too. */
export const scroller = (extra, name, ...children) => h("div", { class: `scroll ${extra}`, tabindex: 0, role: "group", "aria-label": name }, children);

/** A table behind a chart: the rows as the answer has them. Columns in which nothing stands are left out. */
export function table(all, rows, { most = 500 } = {}) {
  const columns = all.filter((column) => rows.some((row) => row[column.name] !== null && row[column.name] !== ""));
  const numeric = (name) => rows.some((row) => typeof row[name] === "number");
  const places = new Map(columns.map(({ name }) => [name, Math.max(...rows.map((row) => decimals(row[name])), 0)]));
  const cell = (value, name) => (typeof value === "boolean" ? (value ? "yes" : "no") : value !== null && typeof value === "object" ? JSON.stringify(value) : full(value, places.get(name)));
  const head = h("tr", {}, columns.map((column) => h("th", { scope: "col", title: column.help || null, class: numeric(column.name) ? "number" : null }, column.name)));
  const body = rows.slice(0, most).map((row) => h("tr", {}, columns.map((column) => h("td", { class: numeric(column.name) ? "number" : null }, cell(row[column.name], column.name)))));
  const more = rows.length > most ? h("p", { class: "quiet" }, `The first ${full(most)} of ${full(rows.length)} rows; the API gives all.`) : null;
  return h("div", {}, scroller("tall", "Rows", h("table", {}, h("thead", {}, head), h("tbody", {}, body))), more);
}
