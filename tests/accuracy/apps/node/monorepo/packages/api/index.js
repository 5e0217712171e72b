'use strict';
// @shop/units is a workspace: our own code, linked into node_modules. npm, which lists everything that is
// installed, loads packages of its own and none of ours.
const { execFileSync } = require('node:child_process');
const Koa = require('koa');
const ms = require('ms');
const units = require('@shop/units');

new Koa();
require('debug')('shop')(ms(units.day), require('lo').range(3));
execFileSync('npm', ['ls', '--all'], { cwd: '/app', stdio: 'ignore' });
import('/app/truth/tell.mjs').then(({ tell }) => tell());
