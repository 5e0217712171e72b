'use strict';
// TypeORM takes its driver by name, here SQLite in WebAssembly; MikroORM and Drizzle go through a native one.
require('reflect-metadata');
const { DataSource, EntitySchema } = require('typeorm');
const { EntitySchema: MikroSchema, MikroORM } = require('@mikro-orm/libsql');
const libsql = require('libsql');

const columns = { id: { type: Number, primary: true, generated: true }, title: { type: String } };

async function typeorm() {
  const Tea = new EntitySchema({ name: 'tea', columns });
  const source = await new DataSource({ type: 'sqljs', synchronize: true, entities: [Tea] }).initialize();
  await source.getRepository('tea').save({ title: 'green' });
  return source.getRepository('tea').find();
}

async function mikro() {
  const properties = { id: { type: 'number', primary: true }, title: { type: 'string' } };
  const Tea = new MikroSchema({ name: 'Tea', properties });
  const orm = await MikroORM.init({ dbName: ':memory:', entities: [Tea], debug: false });
  await orm.schema.createSchema();
  const manager = orm.em.fork();
  await manager.persistAndFlush(manager.create('Tea', { title: 'black' }));
  return manager.find('Tea', {});
}

async function drizzle() {
  const { integer, sqliteTable, text } = require('drizzle-orm/sqlite-core');
  const { drizzle: connect } = require('drizzle-orm/sqlite-proxy');
  const teas = sqliteTable('teas', { id: integer('id').primaryKey(), title: text('title') });
  const database = new libsql(':memory:');
  database.exec('create table teas (id integer primary key, title text)');
  const ask = async (query, values) => ({ rows: database.prepare(query).all(...values) });
  return connect(ask).select().from(teas);
}

async function main() {
  await typeorm();
  await mikro();
  await drizzle();
  (await import('./truth/tell.mjs')).tell();
}

main();
