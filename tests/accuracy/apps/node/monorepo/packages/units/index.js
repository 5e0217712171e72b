'use strict';
exports.day = require('ms')('1d');
exports.pluck = require('lo').pluck;
