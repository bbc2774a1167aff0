// ONNX Runtime: the fastest build that this browser runs right. A build counts as right when it gives, on the self-test's
// images, what the bundle expects within its tolerance.

import { Problem } from "./problem.js";

const MOST_THREADS = 4; // more than that gains nothing on networks of this size
// (func (result v128) i32.const 0 i8x16.splat i8x16.popcnt)
const SIMD = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11];

/** Whether this browser has what the runtime needs; throws a Problem in one line where it has not. */
export function checkBrowser() {
  if (typeof WebAssembly !== "object" || !WebAssembly.validate(new Uint8Array(SIMD)))
    throw cannot("This browser has no WebAssembly SIMD, which the network needs. Use a browser from 2023 or later.");
  if (typeof OffscreenCanvas !== "function")
    throw cannot("This browser cannot read pixels outside of the page (OffscreenCanvas). Use a browser from 2023 or later.");
}

export const cannot = (detail) => new Problem({ local: true, title: "This browser cannot run the network", detail, code: "browser" });

/**
 * Load the network.
 *
 * `model` is the content of model.json, `read` fetches a file of the site as bytes. Returns the engine: `run(pixels)`, which
 * gives the outputs by name as Float32Array, `backend` in words, and `differences` of the self-test.
 */
export async function openEngine(model, read) {
  const [graph, test] = await Promise.all([read(model.graph.file), read(model.selftest.file)]);
  const problems = [];
  for (const backend of await backends(model)) {
    try {
      const engine = await load(model, backend, graph);
      engine.differences = await selfTest(model, engine, test);
      return engine;
    } catch (error) {
      problems.push(`${backend}: ${error?.message ?? error}`);
    }
  }
  throw cannot(`${problems.join("; ")}. Try another browser or device.`);
}

async function backends({ runtime }) {
  const adapter = runtime.builds.webgpu ? await navigator.gpu?.requestAdapter().catch(() => null) : null;
  return adapter && !(adapter.info?.isFallbackAdapter ?? adapter.isFallbackAdapter) ? ["webgpu", "wasm"] : ["wasm"];
}

async function load(model, backend, graph) {
  const files = model.runtime.builds[backend];
  const { env, InferenceSession, Tensor } = await import(new URL(files.api, import.meta.url).href);
  const at = (file) => new URL(file, import.meta.url).href;
  env.wasm.wasmPaths = { mjs: at(files.glue), wasm: at(files.binary) };
  env.wasm.numThreads = self.crossOriginIsolated ? Math.min(MOST_THREADS, navigator.hardwareConcurrency || 1) : 1;
  env.logLevel = "error";
  const session = await InferenceSession.create(graph, { executionProviders: [backend], logSeverityLevel: 3 });
  const side = model.about.input.size;
  const run = async (pixels) => {
    const tensors = await session.run({ images: new Tensor("uint8", pixels, [1, side, side, 3]) });
    const outputs = {};
    for (const [name, tensor] of Object.entries(tensors)) outputs[name] = await tensor.getData();
    return outputs;
  };
  const threads = env.wasm.numThreads;
  const words = backend === "webgpu" ? "WebGPU" : `WebAssembly, ${threads} ${threads === 1 ? "thread" : "threads"}`;
  return { run, backend: words };
}

/** Run the self-test's images; returns the largest differences, throws where one is beyond the tolerance. */
async function selfTest(model, engine, bytes) {
  const { n_images: count, outputs: names, tolerance, faintest } = model.selftest;
  const length = (name) => model.outputs[name].reduce((product, side) => product * side, 1);
  const floats = new Float32Array(bytes.buffer, 0, count * names.reduce((sum, name) => sum + length(name), 0));
  const pixels = bytes.subarray(floats.byteLength);
  const results = [];
  const step = pixels.length / count;
  for (let n = 0; n < count; n++) results.push(await engine.run(pixels.slice(n * step, (n + 1) * step)));
  const differences = {};
  let start = 0;
  for (const name of names) {
    const expected = floats.subarray(start, (start += count * length(name)));
    const largest = name === "probabilities" ? 1 : Math.max(faintest, expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0));
    differences[name] = difference(results.map((outputs) => outputs[name]), expected) / largest;
    if (!(differences[name] <= tolerance[name]))
      throw new Error(`the self-test fails: ${name} differ by ${differences[name].toPrecision(2)}, allowed is ${tolerance[name]}`);
  }
  return differences;
}

function difference(parts, expected) {
  let most = 0;
  let at = 0;
  for (const part of parts)
    for (const value of part) {
      const here = Math.abs(value - expected[at++]);
      if (!(here <= most)) most = here; // NaN stays
    }
  return at === expected.length ? most : NaN;
}
