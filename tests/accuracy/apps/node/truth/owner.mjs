// Which installed packages a loaded file belongs to, by the account of whoever installed them: Yarn's own
// API, the lock file that npm leaves in node_modules, the names of pnpm's folders; where there is none of
// these, the package.json in the folder below the last node_modules.
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { createRequire, isBuiltin } from 'node:module';
import { basename, dirname, join } from 'node:path';

const MODULES = '/node_modules/';

function purl(name, version) {
  return `pkg:npm/${encodeURIComponent(name).replace('%2F', '/')}@${version.replaceAll('+', '%2B')}`;
}

function manifest(folder) {
  try {
    return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  } catch {
    return {};
  }
}

function byYarn(file) {
  const { findPackageLocator } = createRequire('/app/')('pnpapi');
  const locator = findPackageLocator(file);
  const version = /(?:^|#)npm:([^:]+)/.exec(locator?.reference ?? '');
  return version && { name: locator.name, version: version[1] };
}

const locks = new Map();

function byNpm(file) {
  const at = file.indexOf(MODULES);
  const root = file.slice(0, at);
  if (!locks.has(root)) {
    const lock = `${root}/node_modules/.package-lock.json`;
    locks.set(root, existsSync(lock) ? JSON.parse(readFileSync(lock, 'utf8')).packages : null);
  }
  const packages = locks.get(root);
  if (!packages) return null;
  for (let place = file.slice(root.length + 1); place.includes('/'); place = dirname(place)) {
    const entry = packages[place];
    if (entry) return { name: entry.name ?? place.slice(place.lastIndexOf('node_modules/') + 13), ...entry };
  }
  return null;
}

function byPnpm(file) {
  // <name, + for />@<version>[_<peers>]/node_modules/<name>
  const found = /\/node_modules\/\.pnpm\/([^/]+)\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(file);
  if (!found || file.lastIndexOf(MODULES) > found.index + found[0].length - found[2].length - 1) return null;
  const [, slug, name] = found;
  return { name, version: slug.slice(name.length + 1).split('_')[0] };
}

function installFolder(file) {
  const start = file.lastIndexOf(MODULES) + MODULES.length;
  const parts = file.slice(start).split('/');
  return file.slice(0, start) + parts.slice(0, parts[0].startsWith('@') ? 2 : 1).join('/');
}

function byFolder(file) {
  const { name, version } = manifest(installFolder(file));
  return name && version && { name, version };
}

// Packages that their host carries whole, below its own folder: name, version, and not private.
function* carried(file, host) {
  if (!file.includes(MODULES)) return;
  const top = installFolder(file);
  for (let folder = dirname(file); folder.length > top.length; folder = dirname(folder)) {
    const { name, version, private: hidden } = manifest(folder);
    if (!name || !version || hidden || name === host || !/^(@[^/]+\/)?[^/@]+$/.test(name)) continue;
    yield { name, version };
    return;
  }
}

/** The packages of `files` as purls, and the files below a node_modules that nobody knows. */
export function owners(files) {
  const packages = new Set();
  const unowned = [];
  for (const given of files) {
    if (isBuiltin(given) || basename(given) === 'package.json' || !existsSync(given)) continue;
    const file = process.versions.pnp ? given : realpathSync(given);
    const owner = process.versions.pnp ? byYarn(file) : byPnpm(file) ?? byNpm(file) ?? null;
    const host = owner ?? (file.includes(MODULES) ? byFolder(file) : null);
    if (host) packages.add(purl(host.name, host.version));
    else if (file.includes(MODULES)) unowned.push(file);
    if (host) for (const { name, version } of carried(file, host.name)) packages.add(purl(name, version));
  }
  return { packages: [...packages].sort(), unowned };
}
