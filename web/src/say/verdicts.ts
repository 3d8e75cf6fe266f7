// What a verdict means, in one plain sentence. The certificate itself comes with each map, in the library's words.

export interface Verdict {
  /** A sign that needs no colour. */
  sign: string;
  /** After "It looked here;". */
  plain: string;
}

const VERDICTS: Record<string, Verdict> = {
  exact: { sign: "●", plain: "each cell is that place's contribution; the cells and one constant add up to the score." },
  "locally-linear": { sign: "◐", plain: "for this image the cells and a constant add up to the score." },
  "gradient-only": { sign: "◔", plain: "a place without influence shows nothing, but the cells need not add up to the score." },
  "sum-only": { sign: "Σ", plain: "the cells add up, but a single one can show what the network did not use." },
  unproven: { sign: "?", plain: "nothing is proven of this picture, and it can show what the network did not use." },
};

export const verdict = (name: string): Verdict => VERDICTS[name] ?? { sign: "?", plain: "what is proven stands in the certificate." };
