'use strict';
require('reflect-metadata');
const { __decorate, __metadata, __param } = require('tslib');
const { NestFactory } = require('@nestjs/core');
const { Body, Controller, Get, Injectable, Module, Post, ValidationPipe } = require('@nestjs/common');
const { ConfigModule, ConfigService } = require('@nestjs/config');
const { ScheduleModule } = require('@nestjs/schedule');
const { EventEmitterModule } = require('@nestjs/event-emitter');
const { IsInt, IsString } = require('class-validator');
const { Type } = require('class-transformer');
const { map, of } = require('rxjs');

class Order {}
__decorate([IsString()], Order.prototype, 'title', undefined);
__decorate([IsInt(), Type(() => Number)], Order.prototype, 'count', undefined);

class Orders {
  constructor(config) {
    this.config = config;
  }
  list() {
    return of([this.config.get('SHOP') ?? 'shop']).pipe(map((orders) => orders));
  }
  add(order) {
    return order;
  }
}
__decorate([Get('orders'), __metadata('design:paramtypes', [])], Orders.prototype, 'list', null);
__decorate(
  [Post('orders'), __param(0, Body()), __metadata('design:paramtypes', [Order])],
  Orders.prototype,
  'add',
  null,
);
const Decorated = __decorate([Controller(), __metadata('design:paramtypes', [ConfigService])], Orders);

let Shop = class {};
Shop = __decorate(
  [
    Module({
      imports: [ConfigModule.forRoot(), ScheduleModule.forRoot(), EventEmitterModule.forRoot()],
      controllers: [Decorated],
    }),
  ],
  Shop,
);

async function main() {
  const app = await NestFactory.create(Shop, { logger: false });
  app.useGlobalPipes(new ValidationPipe({ transform: true })); // asks for class-validator by name
  await app.listen(0, '127.0.0.1');
  const base = await app.getUrl();
  await (await fetch(`${base}/orders`)).json();
  const body = new URLSearchParams({ title: 'tea', count: '2' });
  await (await fetch(`${base}/orders`, { method: 'POST', body })).json();
  (await import('./truth/tell.mjs')).tell();
}

main();
