/** Colours of the data, for both themes. Begun from Okabe and Ito's set of eight and moved, hue by hue, until each stands off the ground by 3:1
 * and all of them, neighbours most, stay apart under the three common colour-vision deficiencies (palette.test.ts checks both). */

import type { ThemeName } from "./types";

export interface Palette {
  dark: boolean;
  ground: string;
  surface: string;
  ink: string;
  faint: string;
  line: string;
  weekend: string;
  good: string;
  bad: string;
  /** Eight, in the order in which they are used. */
  series: string[];
  /** Whatever is "Other". */
  other: string;
  /** From little to much: one hue, away from the ground. */
  ramp: string[];
  font: string;
}

/** In single quotes: ECharts writes it into an attribute of its SVG as it is. */
const FONT = "'Inter Variable', system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";

const LIGHT: Palette = {
  dark: false,
  ground: "#fbfbfc",
  surface: "#ffffff",
  ink: "#1a1f26",
  faint: "#5a6472",
  line: "#e3e6eb",
  weekend: "rgba(26, 31, 38, 0.035)",
  good: "#0b6b4f",
  bad: "#b3261e",
  series: ["#2564bc", "#eb5a0a", "#00a392", "#a42278", "#53411d", "#4b86c7", "#998743", "#2d34a3"],
  other: "#7d8795",
  ramp: ["#e8f1f8", "#c3dcee", "#93c1e0", "#5c9fcd", "#2b7db6", "#0b5c95", "#073f6b"],
  font: FONT,
};

const DARK: Palette = {
  dark: true,
  ground: "#101419",
  surface: "#171c22",
  ink: "#e7eaee",
  faint: "#9aa3af",
  line: "#2a313a",
  weekend: "rgba(231, 234, 238, 0.035)",
  good: "#4cc38a",
  bad: "#ff8f85",
  series: ["#5794d1", "#fc8a45", "#00c39b", "#f0a6ee", "#f6ed09", "#b9edfd", "#b77805", "#8966f0"],
  other: "#8a94a1",
  ramp: ["#15293a", "#18405f", "#1c5a88", "#2a78b2", "#4e99d1", "#83bde6", "#c3e0f6"],
  font: FONT,
};

export function paletteOf(theme: ThemeName): Palette {
  return theme === "dark" ? DARK : LIGHT;
}

/** The colour of the series at a place; of names that mean something, always the same. */
export function colourOf(palette: Palette, place: number, other: boolean): string {
  return other ? palette.other : (palette.series[place % palette.series.length] ?? palette.other);
}

/** A colour with another opacity. */
export function faded(colour: string, opacity: number): string {
  const value = Number.parseInt(colour.slice(1), 16);
  return `rgba(${value >> 16}, ${(value >> 8) & 255}, ${value & 255}, ${opacity})`;
}

/** The colour of a share of the greatest value, 0 to 1, on the ramp. */
export function onRamp(palette: Palette, share: number): string {
  const at = Math.min(Math.max(share, 0), 1) * (palette.ramp.length - 1);
  const low = Math.floor(at);
  return mixed(
    palette.ramp[low] ?? palette.line,
    palette.ramp[Math.min(low + 1, palette.ramp.length - 1)] ?? palette.line,
    at - low,
  );
}

/** Ink that can be read on a colour: of the middle of a ramp only pure black or white stand off by 4.5:1. */
export function inkOn(colour: string): string {
  return contrast(colour, "#ffffff") >= contrast(colour, "#000000") ? "#ffffff" : "#000000";
}

function mixed(one: string, other: string, share: number): string {
  const [a, b] = [channels(one), channels(other)];
  return `#${a
    .map((value, place) =>
      Math.round(value + ((b[place] ?? 0) - value) * share)
        .toString(16)
        .padStart(2, "0"),
    )
    .join("")}`;
}

export function channels(colour: string): [number, number, number] {
  const value = Number.parseInt(colour.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}

/** The contrast of two colours (WCAG 2.2, relative luminance), 1 to 21. */
export function contrast(one: string, other: string): number {
  const [bright, dim] = [luminance(one), luminance(other)].sort((a, b) => b - a) as [number, number];
  return (bright + 0.05) / (dim + 0.05);
}

function luminance(colour: string): number {
  const [red, green, blue] = channels(colour).map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
