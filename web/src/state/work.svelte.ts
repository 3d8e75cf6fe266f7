// Maps that are made one group after the other, with progress, until somebody wants something else.
import { maps, type Want } from "./maps.svelte";

export class Work {
  done = $state(0);
  of = $state(0);
  running = $state(false);
  #stop: AbortController | null = null;

  /** Makes the groups in turn; what was begun before is given up. */
  async run(groups: Want[][]) {
    this.cancel();
    const own = new AbortController();
    this.#stop = own;
    [this.done, this.of, this.running] = [0, groups.flat().length, groups.length > 0];
    for (const group of groups) {
      await maps.make(group, own.signal);
      if (own.signal.aborted) return;
      this.done += group.length;
    }
    this.running = false;
  }

  cancel() {
    this.#stop?.abort();
    this.running = false;
  }
}

/** Groups of at most `size`. */
export function groups<T>(list: T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(list.length / size) }, (_, i) => list.slice(i * size, (i + 1) * size));
}
