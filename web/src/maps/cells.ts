// Cells of a map: where they lie on the photo, and what is to be said of them. A cell is its number, row by row.
import type { Layer, Rect, ScoreMap } from "../api/types";

export interface Point { x: number; y: number }

export const rows = (map: ScoreMap) => map.shape[0] ?? 0;
export const columns = (map: ScoreMap) => map.shape[1] ?? 0;
/** Whether it can be laid over a photo: it has rows and columns. */
export const isPicture = (map: ScoreMap) => map.shape.length === 2 && map.values.length > 0;
export const value = (map: ScoreMap, cell: number) => map.values[cell] ?? 0;
/** What a cell contributes: some methods give a multiple of it. */
export const contribution = (map: ScoreMap, cell: number) => value(map, cell) / map.record.scale;
export const place = (map: ScoreMap, cell: number) => ({ row: Math.floor(cell / columns(map)), column: cell % columns(map) });

/** The part of the photo, in its pixels, over which a cell is drawn. */
export function cellRect(map: ScoreMap, cell: number): Rect {
  const { row, column } = place(map, cell);
  const [width, height] = [map.view.width / columns(map), map.view.height / rows(map)];
  return { x: map.view.x + column * width, y: map.view.y + row * height, width, height };
}

/** The cell at a point of the photo. */
export function cellAt(map: ScoreMap, { x, y }: Point): number | null {
  const column = Math.floor(((x - map.view.x) / map.view.width) * columns(map));
  const row = Math.floor(((y - map.view.y) / map.view.height) * rows(map));
  const inside = row >= 0 && row < rows(map) && column >= 0 && column < columns(map);
  return inside ? row * columns(map) + column : null;
}

const middle = ({ x, y, width, height }: Rect): Point => ({ x: x + width / 2, y: y + height / 2 });

/** The cells whose middle lies in a shape, which is given by its corners. */
export function cellsInside(map: ScoreMap, corners: Point[]): number[] {
  return map.values.map((_, cell) => cell).filter((cell) => isInside(middle(cellRect(map, cell)), corners));
}

/** Whether a line from the point to the right crosses the outline an odd number of times. */
function isInside({ x, y }: Point, corners: Point[]): boolean {
  let inside = false;
  corners.forEach((a, i) => {
    const b = corners[(i + 1) % corners.length] ?? a;
    if (a.y > y !== b.y > y && x < a.x + ((y - a.y) / (b.y - a.y)) * (b.x - a.x)) inside = !inside;
  });
  return inside;
}

/** How many cells have a larger value, and one. */
export const rank = (map: ScoreMap, cell: number) => 1 + map.values.filter((v) => v > value(map, cell)).length;

/** What some cells contribute together. */
export const sum = (map: ScoreMap, cells: Iterable<number>) => [...cells].reduce((total, cell) => total + contribution(map, cell), 0);

/** Whether cells are contributions, to the score or to the linear form that the network follows for the image. */
const contribute = ({ record }: ScoreMap) => record.verdict === "exact" || record.verdict === "locally-linear";

/** The part of the score; none where cells are not proven to be parts of it, or it is too near to 0 for a share of it to say anything. */
export const share = (map: ScoreMap, part: number) =>
  contribute(map) && map.record.share_of_score !== null && map.record.score !== 0 ? part / map.record.score : null;

/**
 * The part of the photo, in its pixels, that a cell is computed from: by the kernels, strides, dilations and paddings before the layer. `pixels` are rows and columns of
 * the network's input, `whole` is the node through which it may see all of the image.
 */
export function receptiveField(map: ScoreMap, layer: Layer | undefined, cell: number): { rect: Rect; pixels: [number, number]; whole: string | null } | null {
  const { row, column } = place(map, cell);
  const [down, across] = [layer?.receptive_field?.sides[0]?.[row], layer?.receptive_field?.sides[1]?.[column]];
  const [high = 0, wide = 0] = map.image ?? [];
  if (!down || !across || !high || !wide) return null;
  const [[top = 0, bottom = 0], [left = 0, right = 0]] = [down, across];
  const { view } = map;
  const rect = {
    x: view.x + (left / wide) * view.width,
    y: view.y + (top / high) * view.height,
    width: ((right - left) / wide) * view.width,
    height: ((bottom - top) / high) * view.height,
  };
  return { rect, pixels: [bottom - top, right - left], whole: layer?.receptive_field?.whole ?? null };
}

/** The difference of two maps, where they have the same cells on the same part of the photo. */
export function difference(a: ScoreMap, b: ScoreMap): ScoreMap | null {
  const alike = a.shape.join() === b.shape.join() && JSON.stringify(a.view) === JSON.stringify(b.view);
  if (!alike) return null;
  const values = a.values.map((_, cell) => contribution(a, cell) - contribution(b, cell));
  return { ...a, values, record: { ...a.record, scale: 1, sum: values.reduce((x, y) => x + y, 0) } };
}
