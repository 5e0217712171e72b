'use strict';
// Binaries in the package (bcrypt, bufferutil), in a package for each platform (sharp with a shared library
// in yet another one, argon2, swc, lightningcss), a program that is run (biome), and WebAssembly (rollup).
const { execFileSync } = require('node:child_process');

async function main() {
  const sharp = require('sharp');
  const image = { width: 8, height: 8, channels: 3, background: 'red' };
  await sharp({ create: image }).png().toBuffer();
  await require('bcrypt').hash('secret', 4);
  await require('@node-rs/argon2').hash('secret');
  require('bufferutil').mask(Buffer.alloc(64), Buffer.alloc(4), Buffer.alloc(64), 0, 64);
  require('utf-8-validate')(Buffer.from('Käse'));
  execFileSync(process.execPath, [require.resolve('@biomejs/biome/bin/biome'), '--version']);
  require('lightningcss').transform({ filename: 'a.css', code: Buffer.from('a { color: red }') });
  require('@swc/core').transformSync('let x = 1');
  const { rollup } = require('@rollup/wasm-node');
  const source = { name: 'source', resolveId: (id) => id, load: () => 'export default 1' };
  await (await rollup({ input: 'entry', plugins: [source] })).generate({});
  (await import('./truth/tell.mjs')).tell();
}

main();
