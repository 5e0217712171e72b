'use strict';
// What throws while it loads has run; what is only resolved, read or looked for has not. The last package
// is loaded after two of the sensor's sweeps of its caches, by a process that was silent for 45 seconds.
const { readFileSync } = require('node:fs');

function attempt(name) {
  try {
    return require(name);
  } catch {
    return null;
  }
}

async function main() {
  require('lodash');
  // Its driver is an optional peer that is not installed: the module throws when half of it has run.
  if (attempt('drizzle-orm/better-sqlite3')) throw new Error('it should have thrown');
  attempt('iconv-lite/encodings/nothing');
  attempt('not-installed');
  require.resolve('semver');
  readFileSync(require.resolve('dayjs/package.json'));
  require('dayjs/locale/de'); // asks for dayjs itself
  require('mime-types');
  await import('qs');
  await import('ajv/lib/nothing.mjs').catch(() => {});
  await new Promise((resolve) => setTimeout(resolve, Number(process.env.IDLE_SECONDS ?? 45) * 1000));
  require('fs-extra');
  const { default: each } = await import('async/each.js');
  await each([1], async () => require('bluebird'));
  (await import('./truth/tell.mjs')).tell();
}

main();
