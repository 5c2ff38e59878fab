import { expect, test } from "vitest";
import { worked } from "../charts/testing/worked";
import { ageOf, receiptLine } from "./receipt-words";
import { cellText, columnWidths, isNumeric, tabSeparated } from "./table-cells";

test("cells: missing is a dash, nothing is not missing, shares and times are said as such", () => {
  expect(cellText(null, "value", "UTC")).toBe("–");
  expect(cellText(0, "value", "UTC")).toBe("0");
  expect(cellText("", "breakdown", "UTC")).toBe("(not set)");
  expect(cellText("", "part", "UTC")).toBe("");
  expect(cellText(0.33333, "rate", "UTC")).toBe("33.33 %");
  expect(cellText(134, "median_seconds", "UTC")).toBe("2 m 14 s");
  expect(cellText(12.5, "value", "UTC", "EUR")).toBe("12.5 EUR");
  expect(cellText(true, "significant", "UTC")).toBe("yes");
  expect(cellText(["a", "b"], "path", "UTC")).toBe("a → b");
  expect(cellText("2026-01-05T10:00:00Z", "when", "Europe/Berlin")).toContain("11:00");
});

test("a column with a text among its numbers is no column of numbers", () => {
  expect(isNumeric([{ a: 1 }, { a: null }], "a")).toBe(true);
  expect(isNumeric([{ a: 1 }, { a: "1" }], "a")).toBe(false);
  expect(isNumeric([{ a: null }], "a")).toBe(false);
});

test("copied rows run nothing in a spreadsheet and keep their cells apart", () => {
  const { answer } = worked("", { kind: "sql" }, [{ a: "=1+1", b: 2.5, c: null, d: "x\ty\nz" }]);
  expect(tabSeparated(answer, answer.rows)).toBe("a\tb\tc\td\n'=1+1\t2.5\t\tx y z");
});

test("long texts do not make a column wider than a screen", () => {
  const { answer } = worked("", { kind: "sql" }, [{ a: "x".repeat(500), b: 1 }]);
  const [wide = 0, narrow = 0] = columnWidths(answer, "UTC");
  expect(wide).toBe(360);
  expect(narrow).toBeLessThan(100);
});

test("a receipt in a line", () => {
  const receipt = { exact: true, rows_read: 1_234_567, cache_age: 7 };
  expect(receiptLine(receipt, ageOf(receipt, 1000, 6000))).toBe("exact · 1.23 M rows read · 10 s old");
  expect(receiptLine({ exact: false, approximation: "by a tenth" })).toBe("approximate (by a tenth)");
  expect(receiptLine({ exact: true }, 2)).toBe("exact · just now");
  expect(receiptLine({ exact: true }, 3700)).toBe("exact · 1 h 1 m old");
});
