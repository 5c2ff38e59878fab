/** CodeMirror as this app needs it: ClickHouse's SQL, with the columns, events and properties of a project to complete. No React. */

import {
  autocompletion,
  type Completion,
  type CompletionContext,
  type CompletionResult,
  completionKeymap,
} from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { SQLDialect, SQLite, schemaCompletionSource, sql } from "@codemirror/lang-sql";
import { bracketMatching, HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { Compartment, EditorState } from "@codemirror/state";
import { EditorView, keymap, lineNumbers, placeholder } from "@codemirror/view";
import { tags } from "@lezer/highlight";

export interface Known {
  /** Column names by the table that has them. */
  tables: Record<string, string[]>;
  events: string[];
  properties: string[];
}

export interface Editor {
  show: (text: string) => void;
  complete: (known: Known) => void;
  end: () => void;
}

/** Functions of the engine that event analytics asks for; the reference of all is ClickHouse's own. */
const FUNCTIONS =
  "count uniq uniqExact countIf sumIf avgIf uniqIf quantile quantileExact median any argMax argMin min max sum avg groupArray groupUniqArray toDate toDateTime toStartOfHour toStartOfDay toStartOfWeek toStartOfMonth dateDiff now today toString toFloat64 toInt64 toUInt64 if multiIf coalesce nullIf isNull isNotNull lower upper length concat substring position replaceRegexpOne extract match arrayJoin arrayMap arrayFilter has windowFunnel retention sequenceMatch lagInFrame leadInFrame row_number rank dense_rank round floor ceil".split(
    " ",
  );

const dialect = SQLDialect.define({
  keywords: `${SQLite.spec.keywords ?? ""} any anti array asof final full global interval prewhere sample semi settings using with`,
  types:
    "string date datetime datetime64 uint8 uint16 uint32 uint64 int8 int16 int32 int64 float32 float64 bool uuid json nullable",
  builtin: FUNCTIONS.join(" ").toLowerCase(),
  identifierQuotes: '`"',
});

/** Colours are the theme's, so that both themes are served by one style. */
const colours = HighlightStyle.define([
  { tag: tags.keyword, color: "var(--sql-keyword)" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--sql-text)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--sql-number)" },
  { tag: tags.standard(tags.name), color: "var(--sql-function)" },
  { tag: tags.comment, color: "var(--faint)", fontStyle: "italic" },
]);

export function mount(parent: HTMLElement, text: string, label: string, onChange: (text: string) => void): Editor {
  const language = new Compartment();
  let quiet = false;
  const view = new EditorView({
    parent,
    state: EditorState.create({
      doc: text,
      extensions: [
        lineNumbers(),
        history(),
        bracketMatching(),
        syntaxHighlighting(colours),
        // Enter with Ctrl asks: the page hears it, the editor leaves it alone.
        keymap.of([
          { key: "Mod-Enter", run: () => true },
          ...completionKeymap,
          ...defaultKeymap,
          ...historyKeymap,
          indentWithTab,
        ]),
        placeholder("SELECT event, count() AS events FROM events GROUP BY event ORDER BY events DESC"),
        EditorView.lineWrapping,
        EditorView.contentAttributes.of({ "aria-label": label }),
        EditorView.updateListener.of((update) => {
          if (update.docChanged && !quiet) onChange(update.state.doc.toString());
        }),
        language.of(sql({ dialect })),
      ],
    }),
  });
  return {
    show(next) {
      if (next === view.state.doc.toString()) return;
      quiet = true;
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: next } });
      quiet = false;
    },
    complete: (known) => view.dispatch({ effects: language.reconfigure(completed(known)) }),
    end: () => view.destroy(),
  };
}

function completed(known: Known) {
  const schema = { dialect, schema: known.tables };
  return [
    sql({ dialect, upperCaseKeywords: true }),
    dialect.language.data.of({ autocomplete: schemaCompletionSource(schema) }),
    dialect.language.data.of({ autocomplete: (context: CompletionContext) => ofProject(context, known) }),
    autocompletion({ icons: false }),
  ];
}

/** Names of events within quotes, paths of properties behind `properties.`, and columns and functions anywhere. */
export function ofProject(context: CompletionContext, known: Known): CompletionResult | null {
  const before = context.state.sliceDoc(0, context.pos);
  const quote = before.lastIndexOf("'");
  // Within a text: as many quotes open as close before it, and one more. A doubled quote is two.
  if (quote >= 0 && before.split("'").length % 2 === 0)
    return {
      from: quote + 1,
      options: known.events.map((label) => ({ label, type: "text", detail: "event" })),
      validFor: /^[^']*$/,
    };
  const path = context.matchBefore(/\bproperties\.[\w.$`-]*/);
  if (path)
    return { from: path.from + "properties.".length, options: known.properties.map(asPath), validFor: /^[\w.$`-]*$/ };
  const word = context.matchBefore(/\w+/);
  if (!word && !context.explicit) return null;
  const columns = new Set(Object.values(known.tables).flat());
  const options: Completion[] = [
    ...[...columns].map((label) => ({ label, type: "property", detail: "column", boost: 2 })),
    ...FUNCTIONS.map((label) => ({ label, type: "function", apply: `${label}(`, detail: "function" })),
  ];
  return { from: word ? word.from : context.pos, options, validFor: /^\w*$/ };
}

function asPath(property: string): Completion {
  const path = property.split(".").map((part) => (/^\w+$/.test(part) ? part : `\`${part}\``));
  return { label: property, apply: `${path.join(".")}.:String`, type: "property", detail: "property" };
}
