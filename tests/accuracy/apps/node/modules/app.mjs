// ES modules: static imports, imports of CommonJS and of its names, and import() when it is needed.
import { readFileSync } from 'node:fs';
import chalk from 'chalk';
import { format } from 'date-fns';
import { camelCase } from 'lodash-es';
import ms from 'ms';
import { customAlphabet } from 'nanoid/non-secure';
import yargs from 'yargs/yargs';
import { z } from 'zod';

const lazily = async (name) => import(name);

chalk.green(format(new Date(0), 'yyyy'), camelCase('a b'), ms('2d'), customAlphabet('ab', 4)());
yargs(['--x']).parseSync();
z.object({ x: z.number() }).parse({ x: 1 });
const { unified } = await lazily('unified');
const parse = (await lazily('remark-parse')).default;
const html = (await lazily('remark-html')).default;
await unified().use(parse).use(html).process('# Tea');
const { default: Queue } = await lazily('p-queue');
await new Queue().add(() => lazily('got'));
const { execa } = await lazily('execa');
await execa('true');
const { globby } = await lazily('globby');
await globby('*.json');
(await lazily('ora')).default({ isSilent: true }).start().stop();
await lazily('node-fetch');
readFileSync('node_modules/@sindresorhus/slugify/package.json'); // read and found, not loaded
import.meta.resolve('@sindresorhus/slugify');

const { tell } = await import('./truth/tell.mjs');
tell();
