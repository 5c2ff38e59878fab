/** The editor itself, loaded when it is first needed. */

import { closeBrackets, closeBracketsKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { bracketMatching } from "@codemirror/language";
import { EditorState, StateEffect, StateField } from "@codemirror/state";
import {
  Decoration,
  type DecorationSet,
  drawSelection,
  EditorView,
  keymap,
  lineNumbers,
  MatchDecorator,
  ViewPlugin,
  type ViewUpdate,
} from "@codemirror/view";
import { useEffect, useRef } from "react";

export type Form = "json" | "yaml";

interface CodeProps {
  label: string;
  form?: Form;
  value: string;
  onChange: (text: string) => void;
  line: number | null;
  readOnly: boolean;
}

const JSON_SIGNS = /("(?:[^"\\]|\\.)*")(\s*:)?|-?\b\d+(?:\.\d+)?(?:[eE][+-]?\d+)?\b|\b(?:true|false|null)\b/g;
/** Names are what stands before a colon and a blank; a text without quotes has no colour of its own. */
const YAML_SIGNS =
  /("(?:[^"\\]|\\.)*"|'[^']*'|[\w@$. -]*[\w@$.](?=:(?:\s|$)))(:(?=\s|$))?|-?\b\d+(?:\.\d+)?\b|\b(?:true|false|null)\b/g;

const coloursOf = (regexp: RegExp) => {
  const signs = new MatchDecorator({
    regexp,
    decoration: ([text, string, colon]) =>
      Decoration.mark({ class: colon ? "cm-name" : string ? "cm-text" : /\d/.test(text) ? "cm-count" : "cm-word" }),
  });
  return ViewPlugin.fromClass(
    class {
      decorations: DecorationSet;
      constructor(view: EditorView) {
        this.decorations = signs.createDeco(view);
      }
      update(update: ViewUpdate) {
        this.decorations = signs.updateDeco(update, this.decorations);
      }
    },
    { decorations: ({ decorations }) => decorations },
  );
};

const COLOURS = { json: coloursOf(JSON_SIGNS), yaml: coloursOf(YAML_SIGNS) };

const setLine = StateEffect.define<number | null>();
const wrong = Decoration.line({ class: "cm-wrong" });
const wrongLine = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(marks, change) {
    let next = marks.map(change.changes);
    for (const effect of change.effects) {
      if (!effect.is(setLine)) continue;
      const known = effect.value !== null && effect.value <= change.state.doc.lines;
      next = known ? Decoration.set(wrong.range(change.state.doc.line(effect.value as number).from)) : Decoration.none;
    }
    return next;
  },
  provide: (field) => EditorView.decorations.from(field),
});

const look = EditorView.theme({
  "&": { border: "1px solid var(--line)", borderRadius: "6px", background: "var(--surface)", fontSize: "13px" },
  "&.cm-focused": { outline: "2px solid var(--mantine-primary-color-filled)", outlineOffset: "1px" },
  ".cm-scroller": { fontFamily: "var(--mantine-font-family-monospace)", minHeight: "200px", maxHeight: "480px" },
  ".cm-gutters": { background: "transparent", color: "var(--faint)", border: "0" },
  ".cm-cursor": { borderLeftColor: "var(--ink)" },
  ".cm-name": { color: "light-dark(#1d4ed8, #9ecbff)" },
  ".cm-text": { color: "light-dark(#166534, #a5d6a7)" },
  ".cm-count": { color: "light-dark(#9a3412, #ffcc80)" },
  ".cm-word": { color: "light-dark(#7e22ce, #ce93d8)" },
  ".cm-wrong": { background: "color-mix(in srgb, var(--bad) 14%, transparent)" },
});

export default function Code({ label, form = "json", value, onChange, line, readOnly }: CodeProps) {
  const box = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const told = useRef(onChange);
  told.current = onChange;
  const first = useRef(value);
  first.current = value;
  useEffect(() => {
    if (!box.current) return;
    const editor = new EditorView({
      parent: box.current,
      state: EditorState.create({
        doc: first.current,
        extensions: [
          lineNumbers(),
          history(),
          drawSelection(),
          bracketMatching(),
          closeBrackets(),
          COLOURS[form],
          wrongLine,
          look,
          EditorView.lineWrapping,
          EditorState.tabSize.of(2),
          EditorState.readOnly.of(readOnly),
          EditorView.contentAttributes.of({ "aria-label": label, tabindex: "0" }),
          keymap.of([...closeBracketsKeymap, ...defaultKeymap, ...historyKeymap]),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) told.current(update.state.doc.toString());
          }),
        ],
      }),
    });
    view.current = editor;
    return () => {
      editor.destroy();
      view.current = null;
    };
  }, [label, form, readOnly]);
  useEffect(() => {
    const editor = view.current;
    if (editor && editor.state.doc.toString() !== value)
      editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: value } });
  }, [value]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new editor has no mark yet
  useEffect(() => view.current?.dispatch({ effects: setLine.of(line) }), [line, readOnly, label, form]);
  return <div ref={box} />;
}
