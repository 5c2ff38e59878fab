/** How colours look to people with the three common deficiencies, and how far apart two colours are: to choose a palette by figures. */

import { channels } from "./palette";

export type Vision = "usual" | "protanopia" | "deuteranopia" | "tritanopia";

/** Machado, Oliveira and Fernandes 2009, table 1, severity 1.0; for linear RGB. */
const MATRICES: Record<Vision, number[]> = {
  usual: [1, 0, 0, 0, 1, 0, 0, 0, 1],
  protanopia: [0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998],
  deuteranopia: [0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.01182, 0.04294, 0.968881],
  tritanopia: [1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602, 0.004733, 0.691367, 0.3039],
};

/** The distance of two colours as seen so: Euclidean in OKLab (Ottosson 2020), times 100. About 2 is a just visible difference. */
export function distance(one: string, other: string, vision: Vision): number {
  const [a, b] = [oklab(seen(one, vision)), oklab(seen(other, vision))];
  return 100 * Math.hypot(...a.map((value, place) => value - (b[place] ?? 0)));
}

/** Linear red, green and blue, 0 to 1, as seen so. */
function seen(colour: string, vision: Vision): number[] {
  const linear = channels(colour).map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return times(MATRICES[vision], linear).map((value) => Math.min(Math.max(value, 0), 1));
}

function oklab(rgb: number[]): number[] {
  const cones = times(
    [
      0.4122214708, 0.5363325363, 0.0514459929, 0.2119034982, 0.6806995451, 0.1073969566, 0.0883024619, 0.2817188376,
      0.6299787005,
    ],
    rgb,
  ).map(Math.cbrt);
  return times(
    [
      0.2104542553, 0.793617785, -0.0040720468, 1.9779984951, -2.428592205, 0.4505937099, 0.0259040371, 0.7827717662,
      -0.808675766,
    ],
    cones,
  );
}

function times(matrix: number[], vector: number[]): number[] {
  return [0, 3, 6].map((row) => vector.reduce((sum, value, place) => sum + (matrix[row + place] ?? 0) * value, 0));
}
