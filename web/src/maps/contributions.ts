// The score as a sum: what speaks for it, what against it, b, and what is left.
import type { ScoreMap } from "../api/types";
import { contribution } from "./cells";

/** A part of the score, from one number to another. */
export interface Part {
  from: number;
  to: number;
  /** The cells that it stands for; empty where it is no cell. */
  cells: number[];
}

export interface Row { name: string; total: number; parts: Part[] }

/** How many cells are seen apart from the others. */
const APART = 24;

/** Σ map + other tokens + b + residual = score, one row each; b and residual where there are any. */
export function rowsOf(map: ScoreMap): Row[] {
  const { record } = map;
  const cells = map.values.map((_, cell) => cell).sort((a, b) => Math.abs(contribution(map, b)) - Math.abs(contribution(map, a)));
  const out: Row[] = [];
  let at = 0;
  const add = (name: string, groups: number[][]) => {
    const parts = groups.map((group) => {
      const from = at;
      at += group.reduce((sum, cell) => sum + contribution(map, cell), 0);
      return { from, to: at, cells: group };
    });
    if (parts.length) out.push({ name, total: at - (parts[0]?.from ?? at), parts });
  };
  const alone = (name: string, total: number | null) => {
    if (total === null || total === 0) return;
    out.push({ name, total, parts: [{ from: at, to: at + total, cells: [] }] });
    at += total;
  };
  const groups = (chosen: number[]) => {
    const rest = chosen.slice(APART);
    return [...chosen.slice(0, APART).map((cell) => [cell]), ...(rest.length ? [rest] : [])];
  };
  add("cells that speak for it", groups(cells.filter((cell) => contribution(map, cell) > 0)));
  add("cells that speak against it", groups(cells.filter((cell) => contribution(map, cell) < 0)));
  alone("tokens that are no places", record.other_tokens === null ? null : record.other_tokens / record.scale);
  alone("b", record.bias);
  if (record.residual !== null && record.adds_up === false) alone("not explained (residual)", record.residual);
  return out;
}
