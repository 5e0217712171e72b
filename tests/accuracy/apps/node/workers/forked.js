'use strict';
require('mathjs').evaluate('1 + 1');
