import { Navigate, Outlet, useLocation } from "react-router";
import { useMe } from "../api/me";
import { ErrorNote, Loading } from "../components/states";

/** Lets signed-in people in; others are sent to the door and come back to where they wanted to go. */
export function Gate() {
  const me = useMe();
  const here = useLocation();
  if (me.isPending) return <Loading />;
  if (me.isError) return <ErrorNote error={me.error} onRetry={() => void me.refetch()} page />;
  if (me.data.first_run) return <Navigate to="/welcome" replace />;
  if (!me.data.user) {
    const back = here.pathname + here.search;
    return <Navigate to={`/sign-in?back=${encodeURIComponent(back)}`} replace />;
  }
  return <Outlet />;
}

/** The bare address: the project looked at last, or the list of projects. */
export function Start() {
  const me = useMe();
  if (me.isPending) return <Loading />;
  if (me.isError) return <ErrorNote error={me.error} onRetry={() => void me.refetch()} page />;
  if (me.data.first_run) return <Navigate to="/welcome" replace />;
  if (!me.data.user) return <Navigate to="/sign-in" replace />;
  const last = window.localStorage.getItem("almanac.project");
  const known = me.data.projects;
  const project = known.find((one) => one.id === last) ?? (known.length === 1 ? known[0] : undefined);
  return <Navigate to={project ? `/p/${encodeURIComponent(project.id)}/home` : "/projects"} replace />;
}
