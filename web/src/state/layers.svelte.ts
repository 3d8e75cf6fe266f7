// The maps of all layers, made once somebody reaches for the slider.
import { maps, type Want } from "./maps.svelte";
import { opened } from "./opened.svelte";
import { view } from "./view.svelte";
import { groups, Work } from "./work.svelte";

/** How many layers one run makes the maps of. */
const TOGETHER = 6;

class LayerMaps {
  work = new Work();
  /** For what they were made, or begun to be. */
  #of = "";

  /** Makes the maps that are missing, those near the score first. */
  make() {
    const wants = view.explainable.map((layer) => view.want({ layer: view.named(layer.name) })).filter((want): want is Want => want !== null);
    const of = JSON.stringify([wants, opened.servers]);
    if (!wants.length || opened.connection !== "here" || of === this.#of) return;
    this.#of = of;
    const missing = wants.filter((want) => !maps.get(want)).reverse();
    void this.work.run(groups(missing, TOGETHER));
  }

  /** How many are there. */
  get ready() {
    return view.explainable.filter((layer) => maps.get(view.want({ layer: view.named(layer.name) }))?.state === "done").length;
  }
}

export const layerMaps = new LayerMaps();
