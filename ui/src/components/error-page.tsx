import { isRouteErrorResponse, useRouteError } from "react-router";
import { ErrorNote } from "./states";

/** What stands where a page failed. */
export function ErrorPage() {
  const error = useRouteError();
  const shown = isRouteErrorResponse(error) ? new Error(`${error.status} ${error.statusText}`) : error;
  return <ErrorNote error={shown} onRetry={() => window.location.reload()} page />;
}
