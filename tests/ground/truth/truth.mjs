// What this interpreter has loaded, by its own account: require.cache and every ES module that its
// loader loaded, mapped to the nearest named package.json below node_modules.
// Given to node by --import, so that it runs before the application. With TRUTH_FILE set, the truth is
// written there when node ends; globalThis.truth() tells it at any time.
import { existsSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { createRequire, register } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';

const channel = new MessageChannel();
register('./truth_hooks.mjs', import.meta.url, {
  data: { port: channel.port2 },
  transferList: [channel.port2],
});
const require = createRequire(import.meta.url);
const modules = new Set();

function loadedFiles() {
  for (let got; (got = receiveMessageOnPort(channel.port1)); ) modules.add(got.message);
  const files = new Set(Object.keys(require.cache));
  for (const url of modules) if (url.startsWith('file:')) files.add(fileURLToPath(url));
  // Reading a package.json tells of the package; it is not its code.
  return [...files].filter((file) => basename(file) !== 'package.json' && existsSync(file));
}

function packageOf(file) {
  for (let folder = dirname(realpathSync(file)); folder.includes('/node_modules/'); folder = dirname(folder)) {
    const manifest = join(folder, 'package.json');
    if (!existsSync(manifest)) continue;
    const { name, version } = JSON.parse(readFileSync(manifest, 'utf8'));
    if (name) return `pkg:npm/${name.replace('@', '%40')}@${version}`;
  }
  return null;
}

globalThis.truth = () => {
  const found = loadedFiles().map(packageOf);
  return { packages: [...new Set(found.filter(Boolean))].sort(), unowned: [] };
};

if (process.env.TRUTH_FILE) {
  process.on('exit', () => writeFileSync(process.env.TRUTH_FILE, JSON.stringify(globalThis.truth())));
}
