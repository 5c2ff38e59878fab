// @vitest-environment jsdom
import { act, cleanup, render, screen } from "@testing-library/react";
import { createBrowserRouter, RouterProvider } from "react-router";
import { afterEach, expect, it } from "vitest";
import { useUrlValue } from "./url";

afterEach(cleanup);

let both: () => void = () => undefined;

function Page() {
  const [name, setName] = useUrlValue("name", "");
  const [count, setCount] = useUrlValue("count", 0);
  both = () => {
    setName("ann");
    setCount(3);
  };
  return <output>{`${name} ${count}`}</output>;
}

it("keeps both of two values that are set in one tick, and what was there", async () => {
  window.history.replaceState(null, "", "/?other=1");
  render(<RouterProvider router={createBrowserRouter([{ path: "/", element: <Page /> }])} />);
  await act(async () => both());
  expect(screen.getByRole("status").textContent).toBe("ann 3");
  expect(Object.fromEntries(new URLSearchParams(window.location.search))).toEqual({
    other: "1",
    name: "ann",
    count: "3",
  });
});

it("goes on from where the browser is, not from what was asked for before it went elsewhere", async () => {
  window.history.replaceState(null, "", "/");
  const router = createBrowserRouter([{ path: "/", element: <Page /> }]);
  render(<RouterProvider router={router} />);
  await act(async () => both());
  await act(() => router.navigate("/?name=bob"));
  await act(() => router.navigate("/"));
  await act(async () => both());
  await act(() => router.navigate("/?other=2"));
  await act(async () => both());
  expect(Object.fromEntries(new URLSearchParams(window.location.search))).toEqual({
    other: "2",
    name: "ann",
    count: "3",
  });
});
