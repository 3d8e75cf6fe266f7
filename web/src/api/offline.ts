// What a saved view brings with it: the answers that the API would give.
import type { Api, ApiImage, Layer, Model, Result, Spec } from "./types";
import type { Look } from "../maps/colours";

export interface Saved { api: Api; model: Model; layers: Layer[]; image: ApiImage; photo: string | null; results: Result[]; spec: Spec; look: Partial<Pick<Look, "opacity" | "signed" | "cells">> & { colormap?: string | null }; rank: number; method: string | null; layer: string | null }

function read(): Saved | null {
  const text = document.getElementById("offline")?.textContent;
  return text ? JSON.parse(text) : null;
}

export const saved = read();
