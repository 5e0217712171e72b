'use strict';
// Archives, packages beside them (natives), virtual instances of packages with peers. uuid is never loaded.
async function main() {
  require('express')();
  require('lodash').range(3);
  require('lodash-three').pluck([], 'x');
  require('@node-rs/crc32').crc32('tea');
  require('bufferutil').mask(Buffer.alloc(64), Buffer.alloc(4), Buffer.alloc(64), 0, 64);
  const plugins = ['@babel/plugin-transform-arrow-functions'];
  require('@babel/core').transformSync('() => 1', { plugins });
  require('ajv-formats').default(new (require('ajv').default)());
  require('react-dom/server').renderToString(require('react').createElement('b'));
  (await import('chalk')).default.red('tea');
  (await import('./truth/tell.mjs')).tell();
}

main();
