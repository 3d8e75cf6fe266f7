// Runs ONNX files, explaining models above all, in onnxruntime-web: its WebAssembly backend, as in a browser.
//
//     npm install --prefix scripts/runtimes
//     node scripts/runtimes/run.mjs JOB.json ...
//
// Jobs and results are those of run.py, JOB.onnxruntime-web.json; inputs must have their data in the job. The package is
// looked for beside this file and in NODE_PATH.

import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const ort = createRequire(import.meta.url)("onnxruntime-web");
ort.env.wasm.numThreads = 1;
ort.env.logLevel = "error";

const ARRAYS = { float32: Float32Array, float64: Float64Array, int32: Int32Array, int64: BigInt64Array, uint8: Uint8Array, bool: Uint8Array };

const tensor = ({ type, shape, data }) => {
  const numbers = type === "int64" ? data.map(BigInt) : data;
  return new ort.Tensor(type, ARRAYS[type].from(numbers), shape);
};

async function run(path) {
  const job = JSON.parse(readFileSync(path, "utf8"));
  const feeds = Object.fromEntries(job.inputs.map((input) => [input.name, tensor(input)]));
  const model = readFileSync(join(dirname(path), job.model));
  const session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
  const made = await session.run(feeds);
  await session.release();
  return session.outputNames.map((name) => {
    const { type, dims, data } = made[name];
    return { name, type, shape: [...dims], data: Array.from(data, Number) };
  });
}

const paths = process.argv.slice(2);
for (const path of paths) {
  const result = { version: ort.env.versions.web };
  try {
    result.outputs = await run(path);
  } catch (error) {
    result.error = String(error);
  }
  writeFileSync(path.replace(/\.json$/, ".onnxruntime-web.json"), JSON.stringify(result));
}
