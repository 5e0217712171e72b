'use strict';
require('comlink');
process.exit(0);
