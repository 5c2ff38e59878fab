/** Calls of the API. Who is signed in is told by a cookie; the token that goes with changes comes from `/api/v1/me`. */

import { ApiError, OfflineError } from "./errors";

let csrf = "";

/** Sets the token that goes with every call but GET. */
export function setCsrf(token: string): void {
  csrf = token;
}

export interface CallOptions {
  method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  body?: unknown;
  query?: Record<string, string | number | boolean | undefined>;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
}

/** The answer's JSON (null for none). Raises `ApiError`, or `OfflineError` when nobody answers. */
export async function call<T>(path: string, options: CallOptions = {}): Promise<T> {
  const response = await send(path, options);
  const text = await response.text();
  const body: unknown = text ? parsed(text) : null;
  if (!response.ok) throw new ApiError(response.status, body);
  return body as T;
}

/** The answer as a file. */
export async function download(path: string, options: CallOptions = {}): Promise<Blob> {
  const response = await send(path, options);
  if (!response.ok) throw new ApiError(response.status, parsed(await response.text()));
  return response.blob();
}

/** `/api/v1/projects/{project}` and what follows; each part is encoded. */
export function projectPath(project: string, ...parts: string[]): string {
  return ["/api/v1/projects", project, ...parts]
    .map((part, place) => (place ? encodeURIComponent(part) : part))
    .join("/");
}

async function send(path: string, options: CallOptions): Promise<Response> {
  const method = options.method ?? "GET";
  const headers: Record<string, string> = { accept: "application/json", ...options.headers };
  if (options.body !== undefined) headers["content-type"] = "application/json";
  if (method !== "GET" && csrf) headers["x-almanac-csrf"] = csrf;
  const request: RequestInit = { method, headers, credentials: "same-origin" };
  if (options.body !== undefined) request.body = JSON.stringify(options.body);
  if (options.signal) request.signal = options.signal;
  try {
    return await fetch(path + queryOf(options.query), request);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new OfflineError();
  }
}

function queryOf(query: CallOptions["query"]): string {
  const given = Object.entries(query ?? {}).filter(([, value]) => value !== undefined && value !== "");
  return given.length ? `?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}` : "";
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
