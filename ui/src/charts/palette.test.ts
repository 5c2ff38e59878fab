import { describe, expect, test } from "vitest";
import { contrast, inkOn, onRamp, paletteOf } from "./palette";
import type { ThemeName } from "./types";
import { distance, type Vision } from "./vision";

const VISIONS: Vision[] = ["usual", "protanopia", "deuteranopia", "tritanopia"];
const THEMES: ThemeName[] = ["light", "dark"];

/** The least distance of two colours over all ways of seeing. */
const apart = (one: string, other: string) => Math.min(...VISIONS.map((vision) => distance(one, other, vision)));

describe.each(THEMES)("the %s palette", (theme) => {
  const palette = paletteOf(theme);
  const { series } = palette;

  test("has eight colours and one for the rest, each 3:1 off ground and surface", () => {
    expect(series).toHaveLength(8);
    for (const colour of [...series, palette.other]) {
      expect(contrast(colour, palette.ground)).toBeGreaterThanOrEqual(3);
      expect(contrast(colour, palette.surface)).toBeGreaterThanOrEqual(3);
    }
  });

  test("keeps neighbours far apart, however somebody sees", () => {
    for (let place = 1; place < series.length; place += 1) {
      expect(apart(series[place - 1] ?? "", series[place] ?? "")).toBeGreaterThan(11);
    }
  });

  test("keeps any two of the first four well apart, and any two of all", () => {
    series.forEach((one, place) => {
      for (const other of series.slice(place + 1, 4)) expect(apart(one, other)).toBeGreaterThan(9);
      for (const other of series.slice(place + 1)) expect(apart(one, other)).toBeGreaterThan(5);
    });
  });

  test("has text that can be read, on the ground and on every shade of the ramp", () => {
    expect(contrast(palette.ink, palette.surface)).toBeGreaterThan(7);
    expect(contrast(palette.faint, palette.surface)).toBeGreaterThan(4.5);
    for (let share = 0; share <= 1; share += 0.05) {
      const colour = onRamp(palette, share);
      expect(contrast(inkOn(colour), colour)).toBeGreaterThanOrEqual(4.5);
    }
  });

  test("has a ramp that leads away from the ground", () => {
    const steps = palette.ramp.map((colour) => contrast(colour, palette.surface));
    expect(steps).toEqual([...steps].sort((one, other) => one - other));
  });
});

test("black and white are the whole of lightness apart, a colour none from itself", () => {
  for (const vision of VISIONS) {
    expect(distance("#000000", "#ffffff", vision)).toBeCloseTo(100, 0);
    expect(distance("#0072b2", "#0072b2", vision)).toBe(0);
  }
  expect(contrast("#000000", "#ffffff")).toBeCloseTo(21, 5);
});
