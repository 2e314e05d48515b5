// Khronos glTF validator and three.js's GLTFLoader on .glb files: prints a report, exit code 1 on any error or warning.
//
//   npm install gltf-validator three        (here, or in any folder that NODE_PATH then names)
//   node scripts/check_glb.mjs FILE.glb ...
//
// NODE_PATH does not reach ES imports, so the modules are found with require.resolve first.
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import path from 'node:path';

const require = createRequire(import.meta.url);

async function validate(name, bytes) {
  const validator = require('gltf-validator');
  const report = await validator.validateBytes(bytes, { uri: name, maxIssues: 100 });
  const { numErrors, numWarnings, numInfos, messages } = report.issues;
  for (const message of messages) console.log(`  ${message.severity} ${message.code} ${message.pointer}: ${message.message}`);
  console.log(`${name}: validator ${validator.version()}: ${numErrors} errors, ${numWarnings} warnings, ${numInfos} notes`);
  return numErrors + numWarnings;
}

async function loadInThree(name, bytes) {
  let root;
  try {
    root = path.resolve(path.dirname(require.resolve('three')), '..');
  } catch {
    console.log(`${name}: three is not installed, loader not tried`);
    return 0;
  }
  // pictures are not decoded outside a browser; everything else of the loader runs
  globalThis.self = globalThis;
  globalThis.createImageBitmap = async () => ({ width: 1, height: 1, close() {} });
  const { GLTFLoader } = await import(pathToFileURL(path.join(root, 'examples/jsm/loaders/GLTFLoader.js')));
  const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  const asset = await new GLTFLoader().parseAsync(buffer, '');
  const meshes = [];
  asset.scene.traverse((node) => node.isMesh && meshes.push(node));
  const names = Object.keys(meshes[0].morphTargetDictionary ?? {});
  console.log(`${name}: three.js: ${meshes.length} meshes, materials ${[...new Set(meshes.map((m) => m.material.name))].join(', ')}`);
  console.log(`${name}: three.js: ${names.length} morph targets: ${names.join(', ')}`);
  return 0;
}

let problems = 0;
for (const file of process.argv.slice(2)) {
  const bytes = new Uint8Array(await readFile(file));
  problems += await validate(path.basename(file), bytes);
  problems += await loadInThree(path.basename(file), bytes);
}
process.exit(problems ? 1 : 0);
