'use strict';
module.exports = (html) => require('cheerio').load(html)('p').text();
