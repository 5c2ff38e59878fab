/** Files that the browser saves: charts as pictures, answers as tables. */

import { download, projectPath } from "../api/client";
import type { Answer, Question } from "../api/types";
import { type ChartChoice, chosenType, paletteOf, plan, type ThemeName } from "../charts";
import { loadOutlines } from "./outlines";

export const TABLE_FORMATS = [
  { format: "csv", label: "CSV" },
  { format: "xlsx", label: "Excel" },
  { format: "parquet", label: "Parquet" },
  { format: "ndjson", label: "NDJSON" },
] as const;
export type TableFormat = (typeof TABLE_FORMATS)[number]["format"];

export function saveFile(content: Blob, name: string): void {
  const address = URL.createObjectURL(content);
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** A title as the name of a file. */
export function fileName(title: string, ending: string): string {
  const plain = title
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 80);
  return `${plain || "answer"}.${ending}`;
}

export async function saveTable(
  project: string,
  question: Question,
  format: TableFormat,
  title: string,
): Promise<void> {
  const file = await download(projectPath(project, "ask"), { method: "POST", body: question, query: { format } });
  saveFile(file, fileName(title, format));
}

/** Whether the chosen chart can be a picture: tables and numbers are none. */
export function isPicture(answer: Answer, question: Question, choice: ChartChoice): boolean {
  return !["table", "number"].includes(chosenType(answer, question, choice));
}

const WIDTH = 960;
const HEAD = 40;
const FOOT = 24;

/** The chart with its title and where it comes from, as SVG. */
export async function svgFile(
  answer: Answer,
  question: Question,
  choice: ChartChoice,
  theme: ThemeName,
  zone: string,
  said: string,
): Promise<string> {
  const parts = await import("../charts/echarts");
  const room = { theme, zone, width: WIDTH - 48, compact: false };
  let drawn = plan(answer, question, { ...choice, ...room });
  if (drawn.needsWorld) {
    await loadOutlines();
    drawn = plan(answer, question, { ...choice, ...room });
  }
  const palette = paletteOf(theme);
  const height = Math.max(drawn.height, 320);
  const inner = parts.svgOf(drawn, { width: WIDTH - 48, height, ground: "transparent" });
  const total = HEAD + height + FOOT + 24;
  const text = (words: string, y: number, style: string) =>
    `<text x="24" y="${y}" font-family="Inter, system-ui, sans-serif" ${style}>${escapeXml(words)}</text>`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${total}" viewBox="0 0 ${WIDTH} ${total}">`,
    `<rect width="100%" height="100%" fill="${palette.surface}"/>`,
    text(drawn.title, 32, `font-size="16" font-weight="600" fill="${palette.ink}"`),
    inner.replace("<svg ", `<svg x="24" y="${HEAD + 8}" `),
    text([...drawn.notes, said].join(" "), total - 14, `font-size="11" fill="${palette.faint}"`),
    "</svg>",
  ].join("");
}

/** The same in pixels, twice as dense. */
export async function pngFile(svg: string): Promise<Blob> {
  const image = new Image();
  const address = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
  try {
    image.src = address;
    await image.decode();
    const canvas = document.createElement("canvas");
    canvas.width = image.width * 2;
    canvas.height = image.height * 2;
    const pen = canvas.getContext("2d");
    pen?.drawImage(image, 0, 0, canvas.width, canvas.height);
    return await new Promise((done, fail) =>
      canvas.toBlob((blob) => (blob ? done(blob) : fail(new Error("The picture could not be drawn."))), "image/png"),
    );
  } finally {
    URL.revokeObjectURL(address);
  }
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
