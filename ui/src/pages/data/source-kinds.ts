/** What a new source begins with, and what its kind is called. */

import type { Row } from "../../api/types";

export interface SourceKind {
  label: string;
  about: string;
  fresh: Row;
}

export const SOURCE_KINDS: Record<string, SourceKind> = {
  stripe: {
    label: "Stripe webhook",
    about: "Stripe posts its events here. The secret is the endpoint’s signing secret.",
    fresh: { secret: "", revenue: "charges" },
  },
  github: {
    label: "GitHub webhook",
    about: "GitHub posts its events here. Choose a secret and give it to both.",
    fresh: { secret: "" },
  },
  generic: {
    label: "Any webhook",
    about:
      "Anybody posts signed JSON here; the mapping says what of it is what of an event. It is tried on the sample.",
    fresh: {
      secret: "",
      signature: { header: "X-Signature", prefix: "sha256=" },
      mapping: { event: "$.type", id: "$.id", time: "$.created_at", user_id: "$.user.id" },
      sample: { type: "order.paid", id: "1", created_at: "2026-01-31T12:00:00Z", user: { id: "u1" } },
    },
  },
  s3: {
    label: "S3 bucket",
    about: "Files of an S3-compatible store, fetched by a schedule. Leave endpoint empty for Amazon’s.",
    fresh: {
      endpoint: "",
      region: "us-east-1",
      bucket: "",
      prefix: "",
      pattern: "*",
      access_key: "",
      secret_key: "",
      schedule: "every hour",
    },
  },
  http: {
    label: "Web addresses",
    about: "Files that a web server has, fetched by a schedule.",
    fresh: { urls: ["https://"], headers: {}, schedule: "every day at 03:30" },
  },
  folder: {
    label: "Folder of the server",
    about: "Files of a folder on the server’s host. Owners of the server make these.",
    fresh: { path: "/", pattern: "**/*.ndjson", schedule: "every 15 minutes" },
  },
};

/** Whether deliveries come by themselves, rather than files being fetched. */
export const isHook = (kind: string): boolean => ["stripe", "github", "generic"].includes(kind);

const STATES: Record<string, string> = {
  ok: "ok",
  waiting: "waits",
  running: "running",
  failing: "failed",
  refusing: "refused",
  paused: "paused",
};

export const stateWord = (status: string): string => STATES[status] ?? status;

export const isBad = (status: string): boolean => status === "failing" || status === "refusing";
