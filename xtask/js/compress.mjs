// Compresses files of the package with zlib, which Rust would need a crate for.
//
//   node compress.mjs inline OUT WASM...  the module's parts as text, for places that lose the .wasm files
//   node compress.mjs measure FILE...     sizes as JSON, in the order given
import { readFileSync, writeFileSync } from "node:fs";
import { brotliCompressSync, constants, deflateRawSync, gzipSync } from "node:zlib";

const [task, ...files] = process.argv.slice(2);

/** The sizes of a file in bytes: as it is, and as a server sends it at its best settings. */
function measure(file) {
  const bytes = readFileSync(file);
  const brotli = brotliCompressSync(bytes, {
    params: { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
  });
  return { raw: bytes.length, gzip: gzipSync(bytes, { level: 9 }).length, brotli: brotli.length };
}

if (task === "inline" && files.length > 1) {
  const [out, ...parts] = files;
  const texts = parts.map((part) => deflateRawSync(readFileSync(part), { level: 9 }).toString("base64"));
  writeFileSync(out, `// The module's parts, raw deflate in base64: loaded only where the .wasm files beside it cannot be.\nexport default ${JSON.stringify(texts)};\n`);
} else if (task === "measure" && files.length > 0) {
  process.stdout.write(JSON.stringify(files.map(measure)));
} else {
  process.stderr.write("usage: compress.mjs inline OUT WASM... | measure FILE...\n");
  process.exit(2);
}
