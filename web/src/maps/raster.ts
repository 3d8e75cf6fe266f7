// A map as pixels with transparency, to be laid over a photo.
import type { ScoreMap } from "../api/types";
import { columns, rows } from "./cells";
import { along, cover, type Scale, table } from "./colours";

/**
 * A map in colours: a pixel a cell, or smoothed by the linear interpolation that the library's heatmaps have, with about `fine` pixels on its longer
 * side.
 */
export function raster(map: ScoreMap, scale: Scale, cells: boolean, fine: number): HTMLCanvasElement {
  const [high, wide] = [rows(map), columns(map)];
  const times = cells ? 1 : Math.max(1, Math.floor(fine / Math.max(high, wide)));
  return painted(enlarged(map.values, high, wide, times), high * times, wide * times, scale);
}

/** Each cell `times` as many along both axes, with the middles of cells keeping their values: along rows first, then down. */
export function enlarged(values: number[], high: number, wide: number, times: number): Float32Array {
  const cells = Float32Array.from(values);
  return times === 1 ? cells : stretched(stretched(cells, high, wide, 1, times), high, wide * times, wide * times, times);
}

/** An array of rows, with `times` as many entries along its rows where `step` is 1, along its columns where `step` is the length of a row. */
function stretched(values: Float32Array, high: number, wide: number, step: number, times: number): Float32Array {
  const [lines, extent] = step === 1 ? [high, wide] : [wide, high];
  const length = extent * times;
  const out = new Float32Array(lines * length);
  for (let i = 0; i < length; i++) {
    const at = Math.min(extent - 1, Math.max(0, (i + 0.5) / times - 0.5));
    const [low, part] = [Math.floor(at), at - Math.floor(at)];
    const next = Math.min(extent - 1, low + 1);
    for (let line = 0; line < lines; line++) {
      const from = step === 1 ? line * wide : line;
      const to = step === 1 ? line * length + i : i * wide + line;
      out[to] = (values[from + low * step] ?? 0) * (1 - part) + (values[from + next * step] ?? 0) * part;
    }
  }
  return out;
}

function painted(values: Float32Array, high: number, wide: number, scale: Scale): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [wide, high];
  const context = canvas.getContext("2d");
  if (!context) return canvas;
  const colours = table(scale.colormap);
  const last = colours.length / 3 - 1;
  // Red, green, blue and cover of each colour, as one number that lies in memory as they do.
  const packed = new Uint32Array(Uint8Array.from({ length: 4 * (last + 1) }, (_, i) => {
    const [at, part] = [i >> 2, i & 3];
    return part < 3 ? (colours[3 * at + part] ?? 0) : Math.round(255 * cover(scale, at / last));
  }).buffer);
  const picture = context.createImageData(wide, high);
  const pixels = new Uint32Array(picture.data.buffer);
  const { low, high: top } = scale;
  const times = top > low ? last / (top - low) : 0;
  // A map of one value has no way along the scale.
  const first = times ? 0.5 - low * times : 0.5 + last * along(scale, low);
  for (let i = 0; i < pixels.length; i++) {
    const place = (values[i] as number) * times + first;
    pixels[i] = packed[place < 0 ? 0 : place > last ? last : place | 0] as number;
  }
  context.putImageData(picture, 0, 0);
  return canvas;
}
