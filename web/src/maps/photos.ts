// Photos as pictures to draw: fetched once a size, and kept as long as there is room.
import { photoOf } from "../api/client";
import { saved } from "../api/offline";
import type { Image } from "../api/types";
import type { Picture } from "./draw";

/** The longer sides in which photos are fetched: for small multiples, for looking, for looking closely. */
export const SIDES = { small: 320, large: 1600, closer: 6000 };
/** How many pictures are kept. */
const MOST = 80;

const pictures = new Map<string, Promise<Picture>>();

/** A photo whose longer side has at most so many pixels. */
export function picture(image: Image, side: number): Promise<Picture> {
  const key = `${image.id} ${side}`;
  const known = pictures.get(key);
  if (known) return known;
  if (!image.photo) return Promise.resolve(blank(image));
  const fresh = load(image, side);
  fresh.catch(() => pictures.delete(key));
  pictures.set(key, fresh);
  for (const oldest of pictures.keys()) {
    if (pictures.size <= MOST) break;
    pictures.delete(oldest);
  }
  return fresh;
}

/** A tensor has nothing to see: its map lies on a plain ground. */
function blank({ width, height }: Image): Picture {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [1, 1];
  const context = canvas.getContext("2d");
  if (context) context.fillStyle = "#404040";
  context?.fillRect(0, 0, 1, 1);
  return { colour: canvas, grey: canvas, width, height };
}

async function load({ id, width, height }: Image, side: number): Promise<Picture> {
  const colour = saved?.photo ? await decoded(saved.photo) : await createImageBitmap(await photoOf(id, side));
  return { colour, grey: inGrey(colour), width, height };
}

async function decoded(address: string): Promise<ImageBitmap> {
  const image = new Image();
  image.src = address;
  await image.decode();
  return createImageBitmap(image);
}

function inGrey(bitmap: ImageBitmap): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) return canvas;
  context.drawImage(bitmap, 0, 0);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
  const data = pixels.data;
  for (let i = 0; i < data.length; i += 4) {
    // The weights of ITU-R BT.601, as everywhere where photos become grey here.
    const grey = 0.299 * (data[i] ?? 0) + 0.587 * (data[i + 1] ?? 0) + 0.114 * (data[i + 2] ?? 0);
    data[i] = data[i + 1] = data[i + 2] = grey;
  }
  context.putImageData(pixels, 0, 0);
  return canvas;
}
