/** The outlines of the countries, loaded when the first map is drawn. */

import { useEffect, useState } from "react";

let loading: Promise<void> | null = null;
let loaded = false;

export function loadOutlines(): Promise<void> {
  loading ??= Promise.all([import("../charts/echarts"), import("world-atlas/countries-110m.json")]).then(
    ([parts, world]) => {
      parts.registerWorld(world.default as unknown as Parameters<typeof parts.registerWorld>[0]);
      loaded = true;
    },
    (error: unknown) => {
      loading = null;
      throw error;
    },
  );
  return loading;
}

/** Whether they are there; where they are `wanted`, they will be. */
export function useOutlines(wanted: boolean): { ready: boolean; failed: boolean } {
  const [state, setState] = useState({ ready: loaded, failed: false });
  useEffect(() => {
    if (!wanted || state.ready) return;
    let gone = false;
    loadOutlines().then(
      () => gone || setState({ ready: true, failed: false }),
      () => gone || setState({ ready: false, failed: true }),
    );
    return () => {
      gone = true;
    };
  }, [wanted, state.ready]);
  return state;
}
