'use strict';
// Packages that only a worker thread, a forked process or a process of a cluster loads.
const { fork } = require('node:child_process');
const cluster = require('node:cluster');
const { once } = require('node:events');
const path = require('node:path');
const { Worker, isMainThread } = require('node:worker_threads');

async function main() {
  const Piscina = require('piscina');
  const pool = new Piscina({ filename: path.join(__dirname, 'task.js'), maxThreads: 2 });
  await pool.run('<p>tea</p>');
  await once(new Worker("require('papaparse').parse('a,b')", { eval: true }), 'exit');
  await once(new Worker(path.join(__dirname, 'module.mjs')), 'exit');
  await once(fork(path.join(__dirname, 'forked.js')), 'exit');
  cluster.setupPrimary({ exec: path.join(__dirname, 'member.js') });
  await once(cluster.fork(), 'exit');
  const transport = { target: 'pino-pretty', options: { destination: '/dev/null' } };
  const log = require('pino')({ transport });
  log.info('tea');
  await new Promise((resolve) => setTimeout(resolve, 1000)); // for the thread of the log
  (await import('./truth/tell.mjs')).tell();
}

if (isMainThread) main();
