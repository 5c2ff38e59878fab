/** Colours, sizes and type of the whole app: a grid of 8 px, text of 14 px, borders rather than shadows, two designed themes. */

import { type CSSVariablesResolver, createTheme, type MantineColorsTuple } from "@mantine/core";

const accent: MantineColorsTuple = [
  "#edf2ff",
  "#dbe4ff",
  "#b9c9fb",
  "#93abf6",
  "#6d8cf0",
  "#4a70e8",
  "#2f59de",
  "#1f4fd8",
  "#173fb1",
  "#12328c",
];

/** Its seventh and fifth shades carry white text, and are read on the ground of their theme, at 4.5:1 at least. */
const red: MantineColorsTuple = [
  "#fdecea",
  "#fbd5d1",
  "#f6aaa3",
  "#f07d73",
  "#e5574b",
  "#cf3a2f",
  "#c22f25",
  "#b3261e",
  "#8f1d17",
  "#6d1510",
];

const neutral: MantineColorsTuple = [
  "#f8f9fb",
  "#f0f2f5",
  "#e3e6eb",
  "#d1d6de",
  "#a9b1bd",
  "#7d8795",
  "#5a6472",
  "#414a57",
  "#2b323c",
  "#1a1f26",
];

const dark: MantineColorsTuple = [
  "#e7eaee",
  "#c3c9d1",
  "#9aa3af",
  "#717b89",
  "#4d5663",
  "#363e49",
  "#2a313a",
  "#1f252c",
  "#171c22",
  "#101419",
];

/** As words and lines these are read against both grounds (4.5 : 1): shade 7 and darker in light, 5 and brighter in dark. */
const green: MantineColorsTuple = [
  "#e7f7ef",
  "#d0efdf",
  "#a5dfc2",
  "#7ad0a6",
  "#5fc896",
  "#4cc38a",
  "#16815f",
  "#0b6b4f",
  "#085740",
  "#064533",
];
const yellow: MantineColorsTuple = [
  "#fdf6e3",
  "#faecc5",
  "#f3d98e",
  "#eac766",
  "#e6bd52",
  "#e3b341",
  "#a06a00",
  "#8a5a00",
  "#6f4800",
  "#573800",
];

export const theme = createTheme({
  colors: { accent, neutral, gray: neutral, dark, red, green, yellow, orange: yellow },
  primaryColor: "accent",
  primaryShade: { light: 7, dark: 6 },
  fontFamily: '"Inter Variable", system-ui, -apple-system, "Segoe UI", Roboto, sans-serif',
  fontFamilyMonospace: 'ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, monospace',
  fontSizes: { xs: "12px", sm: "13px", md: "14px", lg: "16px", xl: "20px" },
  lineHeights: { xs: "16px", sm: "18px", md: "20px", lg: "24px", xl: "28px" },
  spacing: { xs: "4px", sm: "8px", md: "16px", lg: "24px", xl: "32px" },
  radius: { xs: "3px", sm: "4px", md: "6px", lg: "8px", xl: "12px" },
  defaultRadius: "md",
  headings: {
    fontWeight: "600",
    sizes: {
      h1: { fontSize: "20px", lineHeight: "28px" },
      h2: { fontSize: "16px", lineHeight: "24px" },
      h3: { fontSize: "14px", lineHeight: "20px" },
    },
  },
  focusRing: "auto",
  respectReducedMotion: true,
  cursorType: "pointer",
  components: {
    Button: { defaultProps: { size: "sm", fz: "md" } },
    TextInput: { defaultProps: { size: "sm" } },
    Select: { defaultProps: { size: "sm", clearButtonProps: { "aria-label": "Clear" } } },
    MultiSelect: { defaultProps: { size: "sm", clearButtonProps: { "aria-label": "Clear" } } },
    Notification: { defaultProps: { closeButtonProps: { "aria-label": "Close" } } },
    NumberInput: { defaultProps: { size: "sm" } },
    Modal: {
      defaultProps: { centered: true, transitionProps: { duration: 120 }, closeButtonProps: { "aria-label": "Close" } },
    },
    Drawer: { defaultProps: { closeButtonProps: { "aria-label": "Close" } } },
    Tooltip: { defaultProps: { openDelay: 300, withArrow: false } },
    Anchor: { defaultProps: { c: "var(--link)" } },
    Paper: { defaultProps: { shadow: "none", withBorder: true, radius: "md" } },
    Card: { defaultProps: { shadow: "none", withBorder: true, radius: "md" } },
  },
});

/** Words for colours, so that a page names what it means: ground, surface, line, ink, faint, link, good, bad. */
export const variables: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    "--mantine-color-body": "#fbfbfc",
    "--mantine-color-text": "#1a1f26",
    "--mantine-color-dimmed": "#5a6472",
    "--ground": "#fbfbfc",
    "--surface": "#ffffff",
    "--line": "#e3e6eb",
    "--ink": "#1a1f26",
    "--faint": "#5a6472",
    "--accent-soft": "#edf2ff",
    "--link": "#1f4fd8",
    "--good": "#0b6b4f",
    "--bad": "#b3261e",
    "--warn": "#8a5a00",
  },
  dark: {
    "--mantine-color-body": "#101419",
    "--mantine-color-text": "#e7eaee",
    "--mantine-color-dimmed": "#9aa3af",
    "--ground": "#101419",
    "--surface": "#171c22",
    "--line": "#2a313a",
    "--ink": "#e7eaee",
    "--faint": "#9aa3af",
    "--accent-soft": "#1b2a4d",
    "--link": "#93abf6",
    "--good": "#4cc38a",
    "--bad": "#ff8f85",
    "--warn": "#e3b341",
  },
});
