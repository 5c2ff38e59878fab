/** What went wrong, as the API says it: one shape for every error. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  readonly place: string;
  readonly wayOut: string;
  readonly retryable: boolean;
  readonly retryAfter: number | null;
  readonly errorId: string;

  constructor(status: number, body: unknown) {
    const error = (body as { error?: Record<string, unknown> } | null)?.error ?? {};
    super(typeof error.message === "string" ? error.message : `The server answered with status ${status}.`);
    this.name = "ApiError";
    this.status = status;
    this.code = String(error.code ?? "unavailable");
    this.place = String(error.place ?? "");
    this.wayOut = String(error.way_out ?? "");
    this.retryable = Boolean(error.retryable ?? status >= 500);
    this.retryAfter = typeof error.retry_after === "number" ? error.retry_after : null;
    this.errorId = String(error.error_id ?? "");
  }
}

/** The server could not be reached at all. */
export class OfflineError extends Error {
  constructor() {
    super("The server cannot be reached.");
    this.name = "OfflineError";
  }
}
