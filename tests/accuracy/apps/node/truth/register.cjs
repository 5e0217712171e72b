// Given to node by NODE_OPTIONS=--require=…, so that it runs first in every process and worker thread of an
// application. It writes down every file that this interpreter loads, at the moment it does: modules that
// throw while they run leave require.cache again. The lines go to one file for each thread in TRUTH_DIR.
'use strict';

const child = require('node:child_process');
const fs = require('node:fs');
const Module = require('node:module');
const { pathToFileURL } = require('node:url');
const { threadId } = require('node:worker_threads');

const folder = process.env.TRUTH_DIR ?? '/tmp/truth';
fs.mkdirSync(folder, { recursive: true });
const log = `${folder}/${process.pid}-${threadId}`;
const descriptor = fs.openSync(log, 'a');
const { writeSync } = fs;
const record = (file) => typeof file === 'string' && writeSync(descriptor, `${file}\n`);

// Every CommonJS module, JSON file and native module goes through Module.prototype.load (node:internal/
// modules/cjs/loader), also those that an ES module imports.
const { load } = Module.prototype;
Module.prototype.load = function (file) {
  record(file);
  return load.call(this, file);
};

const { dlopen } = process;
process.dlopen = function (module, file, ...rest) {
  record(file);
  return dlopen.call(this, module, file, ...rest);
};

// Programs that a package brings and runs.
const { spawn } = child.ChildProcess.prototype;
child.ChildProcess.prototype.spawn = function (options) {
  record(options.file);
  return spawn.call(this, options);
};
for (const name of ['spawnSync', 'execFileSync']) {
  const run = child[name];
  child[name] = function (file, ...rest) {
    record(file);
    return run.call(this, file, ...rest);
  };
}

// ES modules: node's thread for loader hooks writes them to a file of its own.
Module.register('./hooks.mjs', pathToFileURL(__filename), { data: `${log}-modules` });

// Libraries that a native module brought along.
globalThis.recordMappings = () => {
  for (const [file] of fs.readFileSync('/proc/self/maps', 'utf8').matchAll(/\/.*\/node_modules\/.*$/gm)) {
    record(file);
  }
};
process.on('exit', globalThis.recordMappings);
