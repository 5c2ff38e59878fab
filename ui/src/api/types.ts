/** The API's shapes under short names. They come from the OpenAPI document; questions are free objects, as their schemas come at run time. */

import type { components } from "./schema";

type Schemas = components["schemas"];

export type Answer = Schemas["AnswerBody"];
export type Column = Schemas["ColumnBody"];
export type Kind = Schemas["KindBody"];
export type EventName = Schemas["NameBody"];
export type Property = Schemas["PropertyBody"];
export type Person = Schemas["PersonBody"];
export type KnownPerson = Schemas["KnownPerson"];
export type People = Schemas["PeopleBody"];
export type LedgerLine = Schemas["LedgerBody"];
export type Project = Schemas["ProjectBody"];
export type Key = Schemas["KeyBody"];
export type Definition = Schemas["DefinitionBody"];
export type Source = Schemas["SourceBody"];
export type TriedSource = Schemas["TriedBody"];
export type Explanation = Schemas["ExplanationBody"];

export type Row = Record<string, unknown>;
/** A question as the API takes it: `kind`, and what its schema names. */
export type Question = { kind?: string; saved?: string } & Record<string, unknown>;
export type Range = { last?: string; date_from?: string; date_to?: string };
export type Condition = Record<string, unknown>;
