'use strict';
// pnpm's store: links to folders whose files are hard links of one store, so that equal files of two packages
// are one file. uuid is installed and never loaded.
async function main() {
  require('express')();
  require('lodash').range(3);
  require('lodash-three').pluck([], 'x');
  require('@node-rs/crc32').crc32('tea');
  const plugins = ['@babel/plugin-transform-arrow-functions'];
  require('@babel/core').transformSync('() => 1', { plugins });
  require('react-dom/server').renderToString(require('react').createElement('b'));
  require('mime-db');
  require('mime-db-old');
  require('spdx-license-ids');
  require('spdx-license-ids-again');
  (await import('chalk')).default.red('tea');
  (await import('./truth/tell.mjs')).tell();
}

main();
