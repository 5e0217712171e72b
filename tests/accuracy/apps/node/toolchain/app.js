'use strict';
// Plug-in systems that load by name: presets, rules, loaders, minifiers. webpack bundles one package, clsx:
// it reads its code and does not run it.
const path = require('node:path');

const code = 'const tea = (x) => x ?? 1;\nmodule.exports = { tea };\n';

async function main() {
  const presets = [['@babel/preset-env', { targets: 'ie 11' }], '@babel/preset-typescript'];
  await require('@babel/core').transformAsync(code, { presets, filename: 'tea.ts' });
  const { ESLint } = require('eslint');
  const eslint = new ESLint({ useEslintrc: false, baseConfig: { extends: 'standard' } });
  await eslint.lintText(code);
  await require('prettier').format(code, { parser: 'babel' });
  const css = require('postcss')([require('autoprefixer'), require('cssnano')({ preset: 'default' })]);
  await css.process('a { color: red; display: flex }', { from: undefined });
  require('typescript').transpileModule(code, {});
  await require('terser').minify(code);
  require('sass').compileString('a { b { color: red } }');
  const { rollup } = require('rollup');
  const { nodeResolve } = require('@rollup/plugin-node-resolve');
  await rollup({ input: path.join(__dirname, 'entry.mjs'), plugins: [nodeResolve()] });
  await bundled();
  (await import('./truth/tell.mjs')).tell();
}

function bundled() {
  const use = { loader: 'babel-loader', options: { presets: ['@babel/preset-env'] } };
  const compiler = require('webpack')({
    mode: 'production',
    entry: path.join(__dirname, 'bundled.mjs'),
    output: { path: '/tmp/bundle' },
    module: { rules: [{ test: /\.mjs$/, use }] },
  });
  return new Promise((resolve, reject) => {
    compiler.run((error) => (error ? reject(error) : compiler.close(resolve)));
  });
}

main();
