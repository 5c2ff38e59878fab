/** Where something stands in a JSON text: the line of a path such as `schema.properties.total.type`, the place of a parser's complaint. */

/** 1-based line and column of an offset. */
export function lineAt(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, offset).split("\n");
  return { line: before.length, column: (before.at(-1) ?? "").length + 1 };
}

/** What is wrong with a text as one JSON object; null when nothing is. */
export function faultOf(text: string): { message: string; line: number } | null {
  try {
    const value: unknown = JSON.parse(text);
    if (value === null || typeof value !== "object" || Array.isArray(value))
      return { message: "It has to be one JSON object, in braces.", line: 1 };
    return null;
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    const at = /position (\d+)/.exec(said);
    const line = at ? lineAt(text, Number(at[1])).line : text.split("\n").length;
    return {
      message: `This is no JSON: ${said.replace(/ in JSON at position \d+.*$/, "").replace(/\.$/, "")} (line ${line}).`,
      line,
    };
  }
}

/** The line on which the deepest known part of a dotted path begins; null where not even its first part is there. Names may hold dots. */
export function lineOfPath(text: string, path: string): number | null {
  let found: number | null = null;
  const scanner = new Scanner(text);
  try {
    scanner.value(path, (offset) => {
      found = lineAt(text, offset).line;
    });
  } catch {
    return found;
  }
  return found;
}

/** Walks a JSON text once; it reads values, and tells where those of the path begin. */
class Scanner {
  private at = 0;

  constructor(private readonly text: string) {}

  /** A value; `rest` is what is left of the path (null: this is off the path). */
  value(rest: string | null, told: (offset: number) => void): void {
    this.space();
    const sign = this.text[this.at];
    if (sign === "{") this.object(rest, told);
    else if (sign === "[") this.list(rest, told);
    else if (sign === '"') this.string();
    else this.word();
  }

  private object(rest: string | null, told: (offset: number) => void): void {
    this.at += 1;
    this.space();
    while (this.text[this.at] !== "}") {
      this.space();
      const start = this.at;
      const name = this.string();
      const within = rest === null || rest === "" ? null : after(rest, name);
      if (within !== null) told(start);
      this.space();
      this.take(":");
      this.value(within, told);
      this.space();
      if (this.text[this.at] === ",") this.at += 1;
      else if (this.text[this.at] !== "}") throw new Error("no JSON");
    }
    this.at += 1;
  }

  private list(rest: string | null, told: (offset: number) => void): void {
    this.at += 1;
    this.space();
    for (let place = 0; this.text[this.at] !== "]"; place += 1) {
      this.space();
      const within = rest === null || rest === "" ? null : after(rest, String(place));
      if (within !== null) told(this.at);
      this.value(within, told);
      this.space();
      if (this.text[this.at] === ",") this.at += 1;
      else if (this.text[this.at] !== "]") throw new Error("no JSON");
    }
    this.at += 1;
  }

  private string(): string {
    const start = this.at;
    this.take('"');
    while (this.text[this.at] !== '"') {
      if (this.at >= this.text.length) throw new Error("no JSON");
      this.at += this.text[this.at] === "\\" ? 2 : 1;
    }
    this.at += 1;
    return JSON.parse(this.text.slice(start, this.at)) as string;
  }

  private word(): void {
    const match = /[^\s,\]}]+/y;
    match.lastIndex = this.at;
    const found = match.exec(this.text);
    if (!found) throw new Error("no JSON");
    this.at += found[0].length;
  }

  private space(): void {
    while (/\s/.test(this.text[this.at] ?? "")) this.at += 1;
  }

  private take(sign: string): void {
    if (this.text[this.at] !== sign) throw new Error("no JSON");
    this.at += 1;
  }
}

/** What is left of a path after a name; null where it does not begin with it. */
function after(path: string, name: string): string | null {
  if (path === name) return "";
  return path.startsWith(`${name}.`) ? path.slice(name.length + 1) : null;
}
