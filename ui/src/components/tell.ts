/** Short words at the edge of the page, about what somebody just did. */

import { notifications } from "@mantine/notifications";
import { ApiError } from "../api/errors";

export function tell(message: string): void {
  notifications.show({ message, autoClose: 4000 });
}

/** What a failed click says; it stays until it is closed. */
export function tellError(error: unknown): void {
  const wayOut = error instanceof ApiError ? error.wayOut : "";
  const title = error instanceof Error ? error.message : String(error);
  notifications.show({ title, message: wayOut || "Nothing was changed.", color: "red", autoClose: false });
}
