// From values to colours: the same rules by which the library draws its pictures.
import type { Colormap, ScoreMap } from "../api/types";

/** How maps look. */
export interface Look {
  /** How much of the photo the strongest colours cover, 0 to 1. */
  opacity: number;
  /** Whether negative evidence is shown, too. */
  signed: boolean;
  /** The colours of rectified maps, and of signed ones. */
  sequential: string;
  diverging: string;
  /** Whether signed maps have diverging colours, with their middle at 0. */
  twoSided: boolean;
  /** Whether cells are drawn as they are, and not smoothed. */
  cells: boolean;
  /** Whether the photo keeps its own colours under the map. */
  photoInColour: boolean;
}

export const LOOK: Look = { opacity: 0.85, signed: false, sequential: "inferno", diverging: "glow", twoSided: true, cells: false, photoInColour: false };

/** From a value to a colour and how much it covers. */
export interface Scale {
  low: number;
  high: number;
  colormap: Colormap;
  opacity: number;
}

/** The scale on which maps are drawn together. */
export function scaleOf(maps: ScoreMap[], look: Look, colormaps: Colormap[]): Scale | null {
  const diverging = look.signed && look.twoSided;
  const name = diverging ? look.diverging : look.sequential;
  const colormap = colormaps.find((map) => map.name === name);
  if (!colormap) return null;
  let [least, most] = [Infinity, -Infinity];
  for (const map of maps) for (const v of map.values) [least, most] = [Math.min(least, v), Math.max(most, v)];
  if (!Number.isFinite(least)) [least, most] = [0, 0];
  const strongest = Math.max(most, -least);
  const [low, high] = diverging ? [-strongest, strongest] : look.signed ? [least, most] : [0, Math.max(most, 0)];
  return { low, high, colormap, opacity: look.opacity };
}

/** Where a value lies between the ends, 0 to 1. */
export function along(scale: Scale, value: number): number {
  if (scale.high > scale.low) return Math.min(1, Math.max(0, (value - scale.low) / (scale.high - scale.low)));
  return scale.colormap.kind === "diverging" ? 0.5 : 0;
}

/** How much of the ground the colour at a place of the scale covers: places without evidence show the photo. */
export function cover(scale: Scale, at: number): number {
  if (scale.colormap.kind === "sequential") return scale.opacity * (1 - (1 - at) ** 3);
  const strength = Math.abs(2 * at - 1) ** 0.75;
  return scale.opacity * strength * strength * (3 - 2 * strength);
}

const tables = new WeakMap<Colormap, Uint8Array>();

/** Red, green and blue of all colours of a colour map, one after the other. */
export function table(colormap: Colormap): Uint8Array {
  let bytes = tables.get(colormap);
  if (!bytes) {
    bytes = new Uint8Array(colormap.colours.flatMap((hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16))));
    tables.set(colormap, bytes);
  }
  return bytes;
}

/** The colour at a place of the scale, as CSS writes it. */
export const css = (scale: Scale, at: number) => scale.colormap.colours[Math.round(at * (scale.colormap.colours.length - 1))] ?? "#888888";

/** A few round numbers from one end of the scale to the other. */
export function ticks({ low, high }: Scale, most = 6): number[] {
  const span = high - low;
  if (!(span > 0)) return [low];
  const rough = span / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough) ?? span;
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, i) => (first + i) * step);
}
