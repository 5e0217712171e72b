'use strict';
// Views, validation and tokens are asked for by requests: pug and jsonwebtoken load when they come.
const express = require('express');
const path = require('node:path');
const session = require('express-session');
const passport = require('passport');
const { Strategy } = require('passport-local');
const { body, validationResult } = require('express-validator');
const winston = require('winston');

const log = winston.createLogger({ transports: [new winston.transports.Console({ silent: true })] });
const app = express();
app.use(require('helmet')());
app.use(require('cors')());
app.use(require('compression')());
app.use(require('morgan')('tiny', { stream: { write: (line) => log.info(line) } }));
app.use(require('cookie-parser')('secret'));
app.use(session({ secret: 'secret', resave: false, saveUninitialized: false }));
app.use(require('connect-flash')());
app.use(require('method-override')());
app.use(require('express-rate-limit').rateLimit());
app.use(passport.initialize());
passport.use(new Strategy((user, password, done) => done(null, { user })));
app.use(express.urlencoded({ extended: true }), express.json());
app.set('views', path.join(__dirname, 'views'));
app.get('/pug', (request, response) => response.render('page.pug', { title: 'Tea' }));
app.get('/ejs', (request, response) => response.render('page.ejs', { title: 'Tea' }));
app.post('/orders', body('count').isInt(), (request, response) => {
  const errors = validationResult(request).array();
  if (errors.length) return response.status(422).json({ errors });
  return response.json({ token: require('jsonwebtoken').sign({ count: 1 }, 'secret') });
});
app.use((request, response, next) => next(require('http-errors')(404)));

const server = app.listen(0, '127.0.0.1', async () => {
  const base = `http://127.0.0.1:${server.address().port}`;
  for (const page of ['/pug', '/ejs', '/nowhere']) await (await fetch(base + page)).text();
  await (await fetch(`${base}/orders`, { method: 'POST', body: new URLSearchParams({ count: '3' }) })).json();
  (await import('./truth/tell.mjs')).tell();
});
