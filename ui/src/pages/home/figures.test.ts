import { expect, test } from "vitest";
import { rateWithinNoise } from "./figures";

test("a change of a rate is news only where enough was counted", () => {
  // 0.40 and 0.30 of 100 each: the error of the difference is sqrt(0.0024 + 0.0021) = 0.067, of 1000 each 0.021.
  expect(rateWithinNoise(0.4, 0.3, [100, 100])).toBe(true);
  expect(rateWithinNoise(0.4, 0.3, [1000, 1000])).toBe(false);
  expect(rateWithinNoise(0.4, 0.3, [1000, 0])).toBe(true);
});
