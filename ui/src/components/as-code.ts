/** A question as code: to put into a script, a notebook, a file. */

import type { Question } from "../api/types";

export type CodeForm = "json" | "python" | "curl" | "yaml";
export const CODE_FORMS: { form: CodeForm; label: string }[] = [
  { form: "json", label: "JSON" },
  { form: "python", label: "Python" },
  { form: "curl", label: "curl" },
  { form: "yaml", label: "YAML" },
];

export function asCode(question: Question, form: CodeForm, project: string, server: string): string {
  if (form === "yaml") return yaml(question, "");
  if (form === "python") {
    return [
      "import almanac",
      "",
      `client = almanac.open("${server}", project=${JSON.stringify(project)}, key="YOUR_READ_KEY")`,
      `answer = client.ask(${python(question, "")})`,
      "answer.to_pandas()",
      "",
    ].join("\n");
  }
  const json = JSON.stringify(question, null, 2);
  if (form === "json") return `${json}\n`;
  const address = `${server}/api/v1/projects/${encodeURIComponent(project)}/ask`;
  return [
    `curl ${quoted(address)} \\`,
    '  -H "Authorization: Bearer YOUR_READ_KEY" \\',
    '  -H "Content-Type: application/json" \\',
    `  -d ${quoted(json)}`,
    "",
  ].join("\n");
}

/** A word of the shell, whatever it holds. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function python(value: unknown, indent: string): string {
  if (value === null || value === undefined) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (typeof value !== "object") return JSON.stringify(value);
  const inner = `${indent}    `;
  if (Array.isArray(value)) {
    const parts = value.map((item) => python(item, inner));
    const line = `[${parts.join(", ")}]`;
    return line.length <= 80 && !line.includes("\n")
      ? line
      : `[\n${parts.map((part) => `${inner}${part},\n`).join("")}${indent}]`;
  }
  const parts = Object.entries(value)
    .filter(([, item]) => item !== undefined)
    .map(([name, item]) => `${JSON.stringify(name)}: ${python(item, inner)}`);
  const line = `{${parts.join(", ")}}`;
  return line.length <= 60 && !line.includes("\n")
    ? line
    : `{\n${parts.map((part) => `${inner}${part},\n`).join("")}${indent}}`;
}

function yaml(value: unknown, indent: string): string {
  if (Array.isArray(value)) {
    return value
      .map((item) =>
        plain(item)
          ? `${indent}- ${scalar(item)}\n`
          : `${indent}- ${yaml(item, `${indent}  `).slice(indent.length + 2)}`,
      )
      .join("");
  }
  return Object.entries(value as object)
    .filter(([, item]) => item !== undefined)
    .map(([name, item]) =>
      plain(item)
        ? `${indent}${scalar(name)}: ${scalar(item)}\n`
        : `${indent}${scalar(name)}:\n${yaml(item, `${indent}  `)}`,
    )
    .join("");
}

/** Whether a value stands on the line of its name. */
function plain(value: unknown): boolean {
  return value === null || typeof value !== "object" || Object.keys(value).length === 0;
}

function scalar(value: unknown): string {
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? "[]" : "{}";
  if (typeof value !== "string") return String(value);
  const bare =
    /^[A-Za-z_$][\w $./-]*$/.test(value) &&
    !/^(true|false|null|yes|no|on|off|y|n)$/i.test(value) &&
    !value.endsWith(" ");
  return bare ? value : JSON.stringify(value);
}
