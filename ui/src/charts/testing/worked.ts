/** The worked examples of every kind of question, from the reference: real questions with their whole answers. For tests. */

import type { Answer, Question, Row } from "../../api/types";

export interface Worked {
  title: string;
  question: Question;
  answer: Answer;
}

const PAGES = import.meta.glob<string>("../../../../docs/reference/questions/*.md", {
  query: "?raw",
  import: "default",
  eager: true,
});
const PARTS = /### (.+?)\n[\s\S]*?\nquestion:\n\n```json\n([\s\S]*?)\n```\n\nrows:\n\n```json\n([\s\S]*?)\n```/g;

export const WORKED: Worked[] = Object.values(PAGES).flatMap((page) =>
  [...page.matchAll(PARTS)].map(([, title = "", question = "", rows = ""]) =>
    worked(title, JSON.parse(question) as Question, JSON.parse(rows) as Row[]),
  ),
);

/** An answer of these rows to a question. */
export function worked(title: string, question: Question, rows: Row[]): Worked {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const columns = names.map((name) => ({ name, type: "any", help: "" }));
  return {
    title,
    question,
    answer: { kind: question.kind ?? "", columns, rows, receipt: { question, timezone: "UTC" } },
  };
}

/** The worked example of a kind with this title. */
export function example(kind: string, title: string): Worked {
  const found = WORKED.find((one) => one.answer.kind === kind && one.title.startsWith(title));
  if (!found) throw new Error(`The reference has no example of ${kind} with the title ${title}.`);
  return found;
}
