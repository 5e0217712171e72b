import { NextResponse } from 'next/server';

export const config = { matcher: '/' };

export function middleware() {
  return NextResponse.next(); // runs in the sandbox, which comes compiled in next
}
