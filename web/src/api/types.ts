// What the API gives and takes: its own types, and what they leave open.
import type { components } from "./schema";

/** What has nothing is null in a reply, and never left out. */
type Whole<T> = { [K in keyof T]-?: Whole<Exclude<T[K], undefined>> };
type Schemas = Whole<components["schemas"]>;

export type Failure = components["schemas"]["Problem"];
export type Colormap = Schemas["Colormap"];
export type Model = Schemas["Model"];
export type Class = Schemas["Class"];
export type Progress = Schemas["Progress"];
export type Rect = Schemas["View"];
export type ApiImage = Schemas["Image"];
export type ExportQuestion = components["schemas"]["ExportQuestion"];

/** What is explained and how: options by name. */
export type Spec = Record<string, unknown>;
export type Api = Omit<Schemas["About"], "opened"> & { opened: Omit<Schemas["Opened"], "spec"> & { spec: Spec } };

export type Layer = Schemas["Layer"];

/** What the page reads of a map's record. */
export interface MapRecord {
  method: string; layer: string; target: string;
  explained: string; class: number | null; label: string | null;
  score: number; probability: number | null;
  sum: number; bias: number | null; other_tokens: number | null; residual: number | null; adds_up: boolean | null; share_of_score: number | null; scale: number;
  verdict: string; reason: string | null; bypass: string | null; note: string;
}
export type ApiMap = Omit<Schemas["Map"], "record"> & { record: MapRecord };
export type Result = Omit<Schemas["OfImage"], "maps"> & { maps: ApiMap[] };

export type Compared = Omit<Schemas["Compared"], "record"> & { record: { equal: string | null } | null };

export interface Spread { mean: number; median: number; worst: number }
/** What the page reads of a check's record. */
export interface Report {
  error: string | null;
  layers: {
    name: string; verdict: string | null; error: string | null;
    methods: {
      method: string; title: string; verdict: string | null; error: string | null;
      residual_relative: Spread | null; share_where_hirescam_is_zero: Spread | null; share_where_ablation_changes_nothing: Spread | null; correlation_with_ablation: Spread | null;
    }[];
  }[];
}
export type Checked = Omit<Schemas["Checked"], "report"> & { report: Report };

/** An image with its extents, those of a tensor too; `photo` says whether there is anything to see of it. */
export interface Image { id: string; name: string; index: number; width: number; height: number; photo: boolean; notes: string[] }
/** A map that is known to lie somewhere on its image. */
export type ScoreMap = ApiMap & { view: Rect };
