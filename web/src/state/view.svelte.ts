// What is being looked at, and how.
import { SvelteSet } from "svelte/reactivity";
import * as client from "../api/client";
import { type Saved, saved } from "../api/offline";
import type { Failure, Layer, ScoreMap, Spec } from "../api/types";
import { LOOK, type Look, scaleOf } from "../maps/colours";
import { BEST, type Entry, maps, ofClass, specOf, type Want } from "./maps.svelte";
import { opened } from "./opened.svelte";

export type Tab = "look" | "methods" | "layers" | "models" | "images" | "difference";
export type Tool = "move" | "box" | "lasso";

class View {
  #model = $state<string | null>(null);
  #image = $state<string | null>(null);
  /** What is explained, as a target is written; null for the best class. */
  asked = $state<string | null>(null);
  /** Which of the maps of a target that has several. */
  rank = $state(0);
  method = $state("hirescam");
  /** Null for the layer that is taken when none is named. */
  #layer = $state<string | null>(null);
  look = $state<Look>({ ...LOOK });
  oneScale = $state(false);
  tab = $state<Tab>("look");
  tool = $state<Tool>("move");
  /** The cell that is asked about. */
  cell = $state<number | null>(null);
  /** The cells of a region. */
  region = new SvelteSet<number>();
  /** Whether what was drawn last held the middle of no cell. */
  missed = $state(false);
  constructor() {
    if (saved) this.#see(saved.look);
    this.back();
  }

  /** To what a saved view was saved of. */
  back() {
    if (!saved) return;
    const { spec, rank, method, layer } = saved;
    const target = spec["target"];
    this.asked = typeof target === "string" ? target : null;
    this.rank = rank;
    this.method = method ?? this.method;
    this.#layer = layer;
    this.leave();
  }

  /** Begins as the command line says. */
  begin({ target, class: classes, top, layer, method, picture }: Spec & { picture?: Saved["look"] }) {
    const list = Array.isArray(classes) ? classes.map(String) : [];
    if (typeof target === "string") this.asked = target;
    else if (list.length) this.asked = `class:${list.map((name) => (/[,:"]/.test(name) ? JSON.stringify(name) : name)).join(",")}`;
    else if (typeof top === "number") this.asked = `top:${top}`;
    const [first] = Array.isArray(layer) ? layer : [layer];
    if (typeof first === "string") this.#layer = first;
    if (typeof method === "string") this.method = method.split(",")[0] ?? this.method;
    if (picture) this.#see(picture);
  }
  #see({ opacity, signed, cells, colormap }: Saved["look"]) {
    const kind = opened.api?.colormaps.find((map) => map.name === colormap)?.kind;
    Object.assign(this.look, { opacity: opacity ?? this.look.opacity, signed: signed ?? this.look.signed, cells: cells ?? this.look.cells }, kind && { [kind]: colormap });
    if (this.look.signed && kind === "sequential") this.look.twoSided = false;
  }

  /** The layers of each network, or why there are none. */
  #layers = $state.raw<Record<string, { rows: Layer[]; failure?: Failure }>>({});

  get model() {
    return this.#model !== null && opened.model(this.#model) ? this.#model : saved ? saved.model.id : (opened.models[0]?.id ?? null);
  }
  get image() {
    return this.#image !== null && opened.image(this.#image) ? this.#image : (opened.images[0]?.id ?? null);
  }

  get layers(): Layer[] {
    return saved?.layers ?? this.#layers[this.#layersKey]?.rows ?? [];
  }
  get layersFailure() {
    return this.#layers[this.#layersKey]?.failure;
  }
  get #layersKey() {
    return JSON.stringify([this.model, opened.options[this.model ?? ""] ?? {}]);
  }
  /** The layers at which there are maps, from the image to the score. */
  get explainable() {
    const held = saved?.results.flatMap(({ maps }) => maps.map(({ record }) => record.layer));
    return this.layers.filter((layer) => layer.why === null && (held?.includes(layer.name) ?? true));
  }
  get recommended() {
    return this.layers.find((layer) => layer.recommended)?.name ?? null;
  }
  /** The layer's name; null as long as it is not known. */
  get layer() {
    return this.#layer ?? this.recommended ?? this.map?.record.layer ?? null;
  }
  get layerRow() {
    return this.layers.find((layer) => layer.name === (this.map?.record.layer ?? this.layer));
  }
  /** A layer as it is asked for. */
  named(layer: string | null) {
    return layer === this.recommended ? null : layer;
  }

  /** The best classes of the image. */
  get ranking(): Entry | undefined {
    return this.#bestOf(this.model, this.image);
  }
  #bestOf(model: string | null, image: string | null) {
    return maps.get(this.bestWant(model, image));
  }
  bestWant(model: string | null, image: string | null): Want | null {
    return model === null || image === null ? null : { model, image, target: BEST, method: "hirescam", layer: null };
  }
  /** What is explained of an image: what was asked for, or its best class, which has to be known. */
  target(model = this.model, image = this.image): string | null {
    if (this.asked !== null) return this.asked;
    const best = this.#bestOf(model, image)?.maps[0]?.record;
    return best ? (best.class === null ? BEST : ofClass(best.class)) : null;
  }

  /** What the page has to have now: the best classes first, for they are the first map, too. */
  get wants(): Want[] {
    const best = this.bestWant(this.model, this.image);
    return [best, this.want()].filter((want) => want !== null);
  }
  want(change: Partial<Want> = {}): Want | null {
    const [model, image] = [change.model ?? this.model, change.image ?? this.image];
    const target = change.target ?? this.target(model, image);
    if (model === null || image === null || target === null || this.mustChoose(model, image)) return null;
    return { model, image, target, method: this.method, layer: this.named(this.#layer), ...change };
  }
  get entry(): Entry | undefined {
    return maps.get(this.want()) ?? (this.asked === null ? this.ranking : undefined);
  }
  get map(): ScoreMap | null {
    return this.#mapOf(this.entry);
  }
  #mapOf(entry: Entry | undefined) {
    return entry?.maps[Math.min(this.rank, entry.maps.length - 1)] ?? null;
  }
  mapOf(change: Partial<Want>): ScoreMap | null {
    return this.#mapOf(maps.get(this.want(change)));
  }
  get scale() {
    return this.map && scaleOf([this.map], this.look, opened.api?.colormaps ?? []);
  }

  /** Whether nobody has said yet how photos are prepared for a network. */
  mustChoose(model: string | null, image = this.image) {
    const open = opened.model(model);
    return !!opened.image(image)?.photo && !!open?.missing.includes("preprocess") && opened.options[open.id]?.["preprocess"] === undefined;
  }

  lookAt({ model, image }: { model?: string | undefined; image?: string | undefined }) {
    if (model !== undefined && model !== this.model) {
      this.#model = model;
      this.#layer = null;
      this.ask(null);
    }
    if (image !== undefined) this.#image = image;
    this.leave();
  }
  /** Opens files, and looks at the first of them. */
  async open(files: File[], of: string | null) {
    this.lookAt(await opened.open(files, of));
  }
  ask(target: string | null) {
    this.asked = target;
    this.rank = 0;
    this.leave();
  }
  take(layer: string | null) {
    this.#layer = this.named(layer);
    this.leave();
  }
  /** Cells of one map say nothing of those of another. */
  leave() {
    this.cell = null;
    this.region.clear();
    this.missed = false;
  }

  /** Makes what is looked at. */
  async make() {
    if (this.model === null || this.mustChoose(this.model)) return;
    await Promise.all([this.#list(this.model), ...this.wants.map((want) => maps.make([want]))]);
  }
  async #list(model: string) {
    const key = this.#layersKey;
    if (this.#layers[key] || opened.connection !== "here") return;
    this.#layers = { ...this.#layers, [key]: { rows: [] } };
    try {
      this.#layers = { ...this.#layers, [key]: { rows: await client.layers(model, opened.options[model] ?? {}) } };
    } catch (error) {
      const { [key]: _, ...others } = this.#layers;
      this.#layers = error instanceof client.Gone ? others : { ...others, [key]: { rows: [], failure: client.failure(error) } };
      if (error instanceof client.Gone) opened.lost();
    }
  }

  /** The spec that makes what is looked at. */
  spec(layers: (string | null)[] = [this.named(this.#layer)], methods = [this.method], target = this.target()): Spec {
    return specOf(this.model ?? "", target ?? BEST, methods, layers);
  }
}

export const view = new View();
