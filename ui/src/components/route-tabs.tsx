import { NavLink } from "react-router";
import classes from "./route-tabs.module.css";

export interface RouteTab {
  to: string;
  label: string;
}

/** Tabs that are addresses of their own: `to` takes the place of the last part of the path. */
export function RouteTabs({ label, tabs }: { label: string; tabs: RouteTab[] }) {
  return (
    <nav aria-label={label} className={classes.tabs}>
      {tabs.map((tab) => (
        <NavLink key={tab.to} to={`../${tab.to}`} relative="path" className={classes.tab ?? ""}>
          {tab.label}
        </NavLink>
      ))}
    </nav>
  );
}
