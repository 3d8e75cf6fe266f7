// Maps that were made, by what was asked for; each is asked for once.
import { SvelteMap } from "svelte/reactivity";
import * as client from "../api/client";
import { follow } from "../api/events";
import { saved } from "../api/offline";
import type { ApiMap, Class, Failure, MapRecord, Progress, Result, ScoreMap, Spec } from "../api/types";
import { shown } from "../say/names";
import { opened } from "./opened.svelte";

/** One thing to look at. `layer` is null for the layer that is taken when none is named. */
export interface Want { model: string; image: string; target: string; method: string; layer: string | null }

export interface Entry {
  state: "waiting" | "done" | "failed";
  /** By rank. */
  maps: ScoreMap[];
  /** The best classes of the image, the best first; empty where its scores are not one a class. */
  classes: Class[];
  failure?: Failure;
  progress?: Progress;
}

/** Whether a map is about one class, and not about several or a part of something. */
export const isOfClass = ({ class: number, target }: MapRecord) => number !== null && /^(top|class|all|above)/.test(target);

/** More than this many are not kept. */
const MOST = 2000;

/** The class that a target is about, as it is written. */
export const ofClass = (number: number) => `class:${number}`;

class Maps {
  #entries = new SvelteMap<string, Entry>();

  constructor() {
    if (saved) this.#keepSaved(saved.results);
  }

  get(want: Want | null): Entry | undefined {
    return want ? this.#entries.get(key(want)) : undefined;
  }

  /** Makes what is not made yet, and is not being made: all methods and layers of one request. */
  async make(wants: Want[], signal?: AbortSignal): Promise<void> {
    const missing = wants.filter((want) => !this.#entries.has(key(want)));
    const [first] = missing;
    if (!first || opened.connection !== "here") return;
    for (const want of missing) this.#entries.set(key(want), { state: "waiting", ...NONE });
    try {
      const results = await explain(first, missing, signal, (progress) => {
        for (const want of missing) this.#entries.set(key(want), { state: "waiting", ...NONE, progress });
      });
      const images = new Map(results.map((result) => [result.image, result]));
      for (const want of missing) this.#keep(want, images.get(want.image));
    } catch (error) {
      for (const want of missing) this.#entries.delete(key(want));
      if (client.isCancelled(error)) return;
      if (error instanceof client.Gone) return opened.lost();
      // One that cannot be made says so for itself, and keeps none of the others from being made.
      if (missing.length > 1) for (const want of missing) await this.make([want], signal);
      else this.#entries.set(key(first), { state: "failed", ...NONE, failure: client.failure(error) });
    }
  }

  /** Forgets what could not be made, so that it is tried again. */
  retry() {
    for (const [key, entry] of this.#entries) if (entry.state === "failed") this.#entries.delete(key);
  }

  #keep(want: Want, result: Result | undefined) {
    if (!result || result.error) {
      const failure = result?.error ?? { kind: "page", message: "the server did not answer for this image" };
      this.#entries.set(key(want), { state: "failed", ...NONE, failure });
      return;
    }
    const maps = result.maps.filter(({ record }) => record.method === want.method && (want.layer === null || record.layer === want.layer)).map((map) => placed(map, want));
    const classes = result.classes.map((one) => ({ ...one, label: one.label === null ? null : shown(one.label) }));
    this.#entries.set(key(want), { state: "done", maps, classes });
    // Whatever classes were asked for by, each is there for itself.
    for (const map of maps) {
      if (map.record.class === null || !isOfClass(map.record)) continue;
      const one = key({ ...want, target: ofClass(map.record.class) });
      if (!this.#entries.has(one)) this.#entries.set(one, { state: "done", maps: [map], classes });
    }
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= MOST) break;
      this.#entries.delete(oldest);
    }
  }

  #keepSaved(results: Result[]) {
    const recommended = saved?.layers.find((layer) => layer.recommended)?.name;
    for (const result of results) {
      const kinds = new Set(result.maps.map(({ record: { method, layer } }) => JSON.stringify([method, layer])));
      for (const kind of kinds) {
        const [method, layer]: [string, string] = JSON.parse(kind);
        const own = { ...result, maps: result.maps.filter(({ record }) => record.method === method && record.layer === layer) };
        const want = { model: saved?.model.id ?? "", image: result.image, target: String(saved?.spec["target"] ?? BEST), method, layer };
        for (const named of layer === recommended ? [layer, null] : [layer]) this.#keep({ ...want, layer: named }, own);
      }
    }
  }
}

/** The target of the best class. */
export const BEST = "top:1";

const NONE = { maps: [], classes: [] };

/** A map with its place on the image: all of it, where there is no photo of which a part was seen. */
function placed(map: ApiMap, { model, image }: Want): ScoreMap {
  const { width, height } = opened.image(image) ?? { width: 1, height: 1 };
  const { height: rows, width: columns } = opened.model(model)?.image ?? {};
  const size = map.image ?? (rows && columns ? [rows, columns] : undefined);
  const { record } = map;
  const named = { ...record, explained: shown(record.explained), label: record.label === null ? null : shown(record.label) };
  return { ...map, record: named, words: map.words.map(shown), view: map.view ?? { x: 0, y: 0, width, height }, ...(size ? { image: size } : {}) };
}

const key = ({ model, image, target, method, layer }: Want) => JSON.stringify([model, opened.options[model] ?? {}, opened.labelled[model] ?? 0, image, target, method, layer]);

const unique = <T>(list: T[]) => [...new Set(list)];

/** The spec that asks for some methods and layers. */
export function specOf(model: string, target: string, methods: string[], layers: (string | null)[]): Spec {
  const named = unique(layers.filter((layer) => layer !== null));
  const started = opened.api?.opened.spec ?? {};
  // What the server was started with is asked for otherwise here.
  const instead = { ...("class" in started ? { class: [] } : {}), ...("top" in started ? { top: null } : {}), ...("layer" in started ? { layer: [] } : {}) };
  return { ...opened.options[model], ...instead, target, method: unique(methods).join(","), ...(named.length ? { layer: named } : {}) };
}

async function explain({ model, target }: Want, wants: Want[], signal: AbortSignal | undefined, tell: (progress: Progress) => void): Promise<Result[]> {
  const spec = specOf(model, target, wants.map((want) => want.method), wants.map((want) => want.layer));
  const body = { model, images: unique(wants.map((want) => want.image)), spec };
  const results: Result[] = [];
  await follow("/api/explanations", body, signal ?? new AbortController().signal, tell, (event, data) => {
    if (event === "result") results.push(data as Result);
  });
  return results;
}

export const maps = new Maps();
