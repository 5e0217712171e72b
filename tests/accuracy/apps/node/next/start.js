'use strict';
// Runs the server that `next build` wrote, asks it for a page of each kind, and tells the truth.
process.env.PORT = '3999';
process.env.HOSTNAME = '127.0.0.1';
require('./server.js');

async function page(path) {
  for (let left = 100; left > 0; left -= 1) {
    try {
      return await (await fetch(`http://127.0.0.1:3999${path}`)).text();
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  throw new Error(`${path} does not answer`);
}

async function main() {
  const picture = '/_next/image?url=%2Ftea.png&w=16&q=75';
  for (const path of ['/', '/tea', '/api/teas', picture, '/nowhere']) await page(path);
  (await import('./truth/tell.mjs')).tell();
}

main();
