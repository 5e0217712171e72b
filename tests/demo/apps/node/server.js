// A web shop's catalogue: the Node.js half of the demo. A framework, a native module with its prebuilt
// binary, a package under an alias beside its newer self, a scoped and an unscoped package that are
// ES modules only and are imported by the first request that needs them, and one (uuid) that is
// installed and never loaded.
'use strict';

const express = require('express');
const _ = require('lodash');
const three = require('lodash-three');
const { crc32 } = require('@node-rs/crc32');

const products = _.range(1, 21).map((number) => ({ number, title: `Käse No. ${number}` }));
const app = express();

app.get('/products', (request, response) => {
  const listed = three.pluck(products, 'title');
  response.json({ listed, etag: crc32(listed.join()).toString(16) });
});

app.get('/links', async (request, response) => {
  const { default: slugify } = await import('@sindresorhus/slugify');
  const { nanoid } = await import('nanoid');
  response.json({ id: nanoid(), links: products.map((product) => slugify(product.title)) });
});

app.get('/truth', (request, response) => response.json(globalThis.truth()));

app.listen(Number(process.argv[2]), '127.0.0.1');
