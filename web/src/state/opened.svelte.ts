// What is open, and whether the server is there.
import * as client from "../api/client";
import { saved } from "../api/offline";
import { shown } from "../say/names";
import type { Api, ApiImage, Failure, Image, Model, Spec } from "../api/types";

/** How long the page waits before it looks again for a server that is gone, in milliseconds. */
const AGAIN = 1000;
/** How often it asks whether the server is still there, in milliseconds: nobody may be asking for anything else. */
const ALIVE = 3000;

/** The last two extents of a tensor are its rows and columns, or the two before a short last one, which counts channels. */
function framed({ shape, width, height, ...image }: ApiImage): Image {
  const extents = shape ?? [];
  const behind = extents.length > 2 && (extents.at(-1) ?? 0) <= 4 ? 1 : 0;
  const [rows, columns] = extents.slice(extents.length - 2 - behind);
  return { ...image, name: shown(image.name), photo: width !== null, width: width ?? columns ?? 1, height: height ?? rows ?? 1 };
}

const named = (model: Model): Model => ({ ...model, name: shown(model.name) });

class Opened {
  api = $state.raw<Api | null>(saved?.api ?? null);
  models = $state.raw<Model[]>(saved ? [named(saved.model)] : []);
  images = $state.raw<Image[]>(saved ? [framed(saved.image)] : []);
  connection = $state<"starting" | "here" | "lost" | "file">(saved ? "file" : "starting");
  /** Files that are on their way, by name. */
  opening = $state.raw<string[]>([]);
  /** What could not be opened, and why. */
  refused = $state.raw<{ name: string; failure: Failure }[]>([]);
  /** What is said beyond the files of each network: preprocessing that was chosen, further options. */
  options = $state.raw<Record<string, Spec>>({});
  /** How often labels were given to each network: maps have its classes' names. */
  labelled = $state.raw<Record<string, number>>({});
  /** Grows when the server that is there is another one than before. */
  servers = $state(0);

  /** What was dropped or chosen on the page, to be sent again to a server that has been started again. */
  #files: { file: File; of: "model" | "image" | { labels: string } }[] = [];

  model(id: string | null) {
    return this.models.find((model) => model.id === id);
  }

  image(id: string | null) {
    return this.images.find((image) => image.id === id);
  }

  /** Asks the server for what is there; `begin` is told what its command line says beside files. */
  async start(begin: (spec: Spec) => void) {
    if (saved) return;
    setInterval(() => void this.#isAlive(), ALIVE);
    try {
      await this.#ask();
      begin(this.api?.opened.spec ?? {});
      this.connection = "here";
    } catch (error) {
      if (!(error instanceof client.Gone)) this.refuse("hirescam", error);
      this.lost();
    }
  }

  async #ask() {
    const [api, models, images] = await Promise.all([client.api(), client.models(), client.images()]);
    [this.api, this.models, this.images] = [api, models.map(named), images.map(framed)];
  }

  /** Opens files that were dropped or chosen: networks, images, and labels for the network `of`. Gives the first of each that was opened. */
  async open(files: File[], of: string | null): Promise<{ model?: string; image?: string }> {
    const first: { model?: string; image?: string } = {};
    await Promise.all(
      files.map(async (file) => {
        this.opening = [...this.opening, file.name];
        try {
          const { model, image } = await this.#send(file, /\.onnx$/i.test(file.name) ? "model" : of && /\.(txt|json|csv)$/i.test(file.name) ? { labels: of } : "image");
          first.model ??= model;
          first.image ??= image;
        } catch (error) {
          this.refuse(file.name, error);
        }
        this.opening = this.opening.filter((name) => name !== file.name);
      }),
    );
    return first;
  }

  async #send(file: File, of: "model" | "image" | { labels: string }): Promise<{ model?: string | undefined; image?: string | undefined }> {
    const limits = this.api?.limits;
    const most = (of === "image" ? limits?.image_bytes : limits?.upload_bytes) ?? Infinity;
    if (file.size > most) {
      const megabytes = (n: number) => `${(n / 2 ** 20).toFixed(0)} MiB`;
      throw new client.ApiError({ kind: "argument", message: `it has ${megabytes(file.size)}, and at most ${megabytes(most)} are taken`, remedy: "name it on the command line: hirescam view FILE" });
    }
    const keep = () => (this.#files = [...this.#files.filter((known) => known.file !== file), { file, of }]);
    if (of === "image") {
      const images = (await client.openImages(file)).map(framed);
      this.#show(images);
      keep();
      return { image: images[0]?.id };
    }
    const model = of === "model" ? await client.openModel(file) : await client.setLabels(of.labels, file);
    this.#hold([named(model)]);
    keep();
    if (of === "model") return { model: model.id };
    this.labelled = { ...this.labelled, [model.id]: (this.labelled[model.id] ?? 0) + 1 };
    return {};
  }

  #hold(models: Model[]) {
    const ids = models.map((model) => model.id);
    const known = this.models.some((model) => ids.includes(model.id));
    this.models = known ? this.models.map((old) => models.find((model) => model.id === old.id) ?? old) : [...this.models, ...models];
  }

  #show(images: Image[]) {
    this.images = [...this.images.filter((old) => !images.some((image) => image.id === old.id)), ...images];
  }

  async close(model: string) {
    this.models = this.models.filter((open) => open.id !== model);
    this.#files = this.#files.filter(({ of }) => typeof of !== "object" || of.labels !== model);
    await client.closeModel(model).catch(() => {});
  }

  choose(model: string, options: Spec) {
    this.options = { ...this.options, [model]: { ...this.options[model], ...options } };
  }

  refuse(name: string, error: unknown) {
    if (client.isCancelled(error)) return;
    if (error instanceof client.Gone) this.lost();
    else this.refused = [...this.refused, { name, failure: client.failure(error) }];
  }

  /** The server cannot be reached: says so, and looks for it until it is there again. */
  lost() {
    if (this.connection === "lost" || saved) return;
    this.connection = "lost";
    setTimeout(() => void this.#look(), AGAIN);
  }

  async #isAlive() {
    if (this.connection !== "here" || document.hidden) return;
    const here = await client.health().catch(() => null);
    if (here?.instance !== this.api?.instance) this.lost();
  }

  async #look() {
    try {
      const { instance } = await client.health();
      if (instance !== this.api?.instance) await this.#again();
      this.connection = "here";
    } catch {
      setTimeout(() => void this.#look(), AGAIN);
    }
  }

  /** Another server: it has what its command line names, and is sent what was opened here. */
  async #again() {
    const files = this.#files;
    await this.#ask();
    for (const { file, of } of files) await this.#send(file, of).catch((error: unknown) => this.refuse(file.name, error));
    this.servers += 1;
  }
}

export const opened = new Opened();
