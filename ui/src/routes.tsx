/** Every address of the app. Pages load when they are first opened. */

import { createBrowserRouter, Navigate } from "react-router";
import { ErrorPage } from "./components/error-page";
import { Loading } from "./components/states";
import { Frame } from "./frame/frame";
import { Gate, Start } from "./frame/gate";

export const router = createBrowserRouter(
  [
    {
      path: "/",
      errorElement: <ErrorPage />,
      HydrateFallback: Loading,
      children: [
        { index: true, element: <Start /> },
        { path: "welcome", lazy: () => import("./pages/welcome/first-run") },
        { path: "sign-in", lazy: () => import("./pages/welcome/sign-in") },
        { path: "join/:token", lazy: () => import("./pages/welcome/join") },
        { path: "reset/:token", lazy: () => import("./pages/welcome/reset") },
        { path: "shared/:token", lazy: () => import("./pages/boards/shared") },
        {
          element: <Gate />,
          children: [
            { path: "projects", lazy: () => import("./pages/welcome/projects") },
            {
              path: "p/:project",
              element: <Frame />,
              errorElement: <ErrorPage />,
              children: [
                { index: true, element: <Navigate to="home" replace /> },
                { path: "home", lazy: () => import("./pages/home/home") },
                { path: "start", lazy: () => import("./pages/welcome/first-event") },
                { path: "boards", lazy: () => import("./pages/boards/list") },
                { path: "boards/:name", lazy: () => import("./pages/boards/board") },
                { path: "explore", lazy: () => import("./pages/explore/explore") },
                { path: "people", lazy: () => import("./pages/people/people") },
                { path: "people/:person", lazy: () => import("./pages/people/person") },
                { path: "data", element: <Navigate to="events" replace /> },
                { path: "data/:tab", lazy: () => import("./pages/data/data") },
                { path: "settings", element: <Navigate to="project" replace /> },
                { path: "settings/:tab", lazy: () => import("./pages/settings/settings") },
                { path: "*", lazy: () => import("./pages/not-found") },
              ],
            },
          ],
        },
        { path: "*", lazy: () => import("./pages/not-found") },
      ],
    },
  ],
  { basename: import.meta.env.BASE_URL.replace(/\/$/, "") },
);
