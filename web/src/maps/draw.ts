// Drawing on a canvas: the photo, the map over the part that the network saw, and outlines.
import type { Rect, ScoreMap } from "../api/types";
import { cellRect, type Point } from "./cells";

/** A photo for display: as it is, and in grey, so that under a map every hue is a value of it. */
export interface Picture {
  colour: CanvasImageSource;
  grey: CanvasImageSource;
  /** The photo's own size, which map and view count in. */
  width: number;
  height: number;
}

/** From pixels of the photo to pixels of the canvas. */
export interface Position { x: number; y: number; scale: number }

export const toPhoto = ({ x, y, scale }: Position, at: Point): Point => ({ x: (at.x - x) / scale, y: (at.y - y) / scale });
const onCanvas = ({ x, y, scale }: Position, rect: Rect): [number, number, number, number] => [x + rect.x * scale, y + rect.y * scale, rect.width * scale, rect.height * scale];

/** The position in which all of a photo is seen, in the middle. */
export function fitted(width: number, height: number, photo: { width: number; height: number }): Position {
  const scale = Math.min(width / photo.width, height / photo.height);
  return { scale, x: (width - photo.width * scale) / 2, y: (height - photo.height * scale) / 2 };
}

/** The photo; what the network did not see of it is paled. */
export function photo(context: CanvasRenderingContext2D, picture: Picture, at: Position, view: Rect | null, inColour: boolean, paper: string) {
  const whole = onCanvas(at, { x: 0, y: 0, width: picture.width, height: picture.height });
  // Large pixels are meant to be seen.
  context.imageSmoothingEnabled = at.scale < 4;
  context.imageSmoothingQuality = "high";
  context.drawImage(inColour || !view ? picture.colour : picture.grey, ...whole);
  if (!view) return;
  context.save();
  context.beginPath();
  context.rect(...whole);
  context.rect(...onCanvas(at, view));
  context.clip("evenodd");
  context.globalAlpha = 0.72;
  context.fillStyle = paper;
  context.fillRect(...whole);
  context.restore();
}

/** A map's pixels over the part of the photo that the network saw. */
export function overlay(context: CanvasRenderingContext2D, pixels: HTMLCanvasElement, view: Rect, at: Position, cells: boolean) {
  context.imageSmoothingEnabled = !cells;
  context.drawImage(pixels, ...onCanvas(at, view));
}

/** A line that is seen on dark and on light ground. */
function outlined(context: CanvasRenderingContext2D, trace: () => void, width: number, dash: number[] = []) {
  for (const [colour, wide] of [["#000", width + 2], ["#fff", width]] as const) {
    context.setLineDash(dash);
    context.strokeStyle = colour;
    context.lineWidth = wide;
    context.beginPath();
    trace();
    context.stroke();
  }
  context.setLineDash([]);
}

export function rectangle(context: CanvasRenderingContext2D, rect: Rect, at: Position, width = 2, dash: number[] = []) {
  outlined(context, () => context.rect(...onCanvas(at, rect)), width, dash);
}

/** The lines between cells, where there is room for them. */
export function grid(context: CanvasRenderingContext2D, map: ScoreMap, at: Position) {
  const first = cellRect(map, 0);
  if (Math.min(first.width, first.height) * at.scale < 6) return;
  context.strokeStyle = "rgb(128 128 128 / 0.45)";
  context.lineWidth = 1;
  context.beginPath();
  map.values.forEach((_, cell) => context.rect(...onCanvas(at, cellRect(map, cell))));
  context.stroke();
}

/** The outer edge of a region of cells. */
export function region(context: CanvasRenderingContext2D, map: ScoreMap, cells: ReadonlySet<number>, at: Position) {
  if (!cells.size) return;
  const wide = map.shape[1] ?? 1;
  outlined(
    context,
    () => {
      for (const cell of cells) {
        const [x, y, width, height] = onCanvas(at, cellRect(map, cell));
        const side = (beside: number | null, ...[x1, y1, x2, y2]: [number, number, number, number]) => {
          if (beside !== null && cells.has(beside)) return;
          context.moveTo(x1, y1);
          context.lineTo(x2, y2);
        };
        side(cell - wide, x, y, x + width, y);
        side(cell + wide, x, y + height, x + width, y + height);
        side(cell % wide > 0 ? cell - 1 : null, x, y, x, y + height);
        side(cell % wide < wide - 1 ? cell + 1 : null, x + width, y, x + width, y + height);
      }
    },
    3,
  );
}

export function line(context: CanvasRenderingContext2D, points: Point[], at: Position) {
  outlined(context, () => points.forEach((p, i) => context[i ? "lineTo" : "moveTo"](at.x + p.x * at.scale, at.y + p.y * at.scale)), 2, [6, 4]);
}
