import { useEffect, useRef } from "react";
import { NavLink, useLocation } from "react-router";
import classes from "./route-tabs.module.css";

export interface RouteTab {
  to: string;
  label: string;
}

/** Tabs that are addresses of their own: `to` takes the place of the last part of the path. */
export function RouteTabs({ label, tabs }: { label: string; tabs: RouteTab[] }) {
  const bar = useRef<HTMLElement>(null);
  const { pathname } = useLocation();
  // biome-ignore lint/correctness/useExhaustiveDependencies: on a narrow page the chosen tab comes into sight
  useEffect(() => {
    // TRICKY: in new browsers this gives a promise, which React would take for the way to undo the effect.
    bar.current?.querySelector(".active")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [pathname]);
  return (
    <nav aria-label={label} className={classes.tabs} ref={bar}>
      {tabs.map((tab) => (
        <NavLink key={tab.to} to={`../${tab.to}`} relative="path" className={classes.tab ?? ""}>
          {tab.label}
        </NavLink>
      ))}
    </nav>
  );
}
