// The reference, drawn from /openapi.json: no other host, nothing kept by hand.

import { h, scroller } from "./dom.js";

const names = (reference) => reference.split("/").at(-1);

function typeOf(schema) {
  if (!schema) return "any";
  if (schema.$ref) return h("a", { href: `#schema-${names(schema.$ref)}` }, names(schema.$ref));
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(" or ");
  const several = schema.anyOf ?? schema.oneOf;
  if (several) return several.flatMap((one, index) => [index ? " or " : "", typeOf(one)].flat());
  if (schema.type === "array") return ["list of ", typeOf(schema.items)].flat();
  return schema.format ?? schema.type ?? "any";
}

function bounds(schema) {
  const words = { minimum: "from", maximum: "to", exclusiveMinimum: "above", minLength: "at least", maxLength: "at most", minItems: "at least", maxItems: "at most" };
  const found = Object.entries(words).filter(([name]) => schema[name] !== undefined).map(([name, word]) => `${word} ${schema[name]}`);
  if (schema.default !== undefined && schema.default !== null && schema.default !== "") found.push(`default ${JSON.stringify(schema.default)}`);
  return found.length ? ` (${found.join(", ")})` : "";
}

function fields(schema) {
  const needed = new Set(schema.required ?? []);
  const rows = Object.entries(schema.properties ?? {}).map(([name, one]) => h("tr", {},
    h("th", { scope: "row" }, h("code", {}, name), needed.has(name) ? " *" : ""),
    h("td", {}, typeOf(one), bounds(one)),
    h("td", {}, one.description ?? "")));
  const head = ["Field", "Type", "Meaning"].map((name) => h("th", { scope: "col" }, name));
  return rows.length ? scroller("", "Fields", h("table", {}, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows))) : null;
}

function operation(path, method, one) {
  const parameters = (one.parameters ?? []).map((parameter) => h("tr", {},
    h("th", { scope: "row" }, h("code", {}, parameter.name), parameter.required ? " *" : ""),
    h("td", {}, parameter.in, ", ", typeOf(parameter.schema), bounds(parameter.schema)),
    h("td", {}, parameter.description ?? parameter.schema.description ?? "")));
  const content = one.requestBody?.content?.["application/json"];
  const examples = Object.values(content?.examples ?? {}).map((example) => h("details", {}, h("summary", {}, example.summary), h("pre", { tabindex: 0 }, JSON.stringify(example.value, null, 2))));
  const answers = Object.entries(one.responses).map(([status, answer]) => h("li", {}, h("code", {}, status), " ", answer.description, " ", typeOf(answer.content?.["application/json"]?.schema ?? { type: "" })));
  const head = ["Parameter", "Where, type", "Meaning"].map((name) => h("th", { scope: "col" }, name));
  return h("section", { class: "path", id: one.operationId },
    h("h3", {}, h("span", { class: "method" }, method.toUpperCase()), h("code", {}, path)),
    h("p", {}, one.summary, one.description ? `. ${one.description}` : ""),
    one.security ? null : h("p", { class: "quiet" }, "Needs no key."),
    parameters.length ? scroller("", "Parameters", h("table", {}, h("thead", {}, h("tr", {}, head)), h("tbody", {}, parameters))) : null,
    content ? h("p", {}, "Body: ", typeOf(content.schema)) : null,
    examples,
    h("details", {}, h("summary", {}, "Answers"), h("ul", {}, answers)));
}

function schema(name, one) {
  const several = one.oneOf ?? one.anyOf;
  return h("section", { class: "path", id: `schema-${name}` },
    h("h3", {}, h("code", {}, name)),
    one.description ? h("p", {}, one.description) : null,
    several ? h("p", {}, "One of: ", typeOf(one)) : one.enum ? h("p", {}, typeOf(one)) : fields(one));
}

async function draw() {
  const place = document.getElementById("content");
  place.replaceChildren(h("p", { class: "quiet" }, "Loading the reference."));
  const told = await (await fetch("/openapi.json")).json();
  const groups = new Map();
  for (const [path, methods] of Object.entries(told.paths)) {
    for (const [method, one] of Object.entries(methods)) {
      const tag = one.tags?.[0] ?? "other";
      groups.set(tag, [...(groups.get(tag) ?? []), operation(path, method, one)]);
    }
  }
  place.replaceChildren(h("div", { class: "stack" },
    h("div", {}, h("h1", {}, "API reference"), h("p", {}, told.info.description), h("p", {}, "Every path under /api takes the header ", h("code", {}, "Authorization: Bearer KEY"), ". A star marks what is required.")),
    [...groups].map(([tag, sections]) => h("div", {}, h("h2", {}, tag.charAt(0).toUpperCase() + tag.slice(1)), sections)),
    h("div", {}, h("h2", {}, "Schemas"), Object.entries(told.components.schemas).map(([name, one]) => schema(name, one)))));
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

draw().catch(() => document.getElementById("content").replaceChildren(h("p", { class: "notice bad", role: "alert" }, "The reference cannot be loaded. Load this page again in a moment.")));
