// The database of the example: orders that reports speak of, and customers that they do not. Made before anybody asks.

import { PGlite } from '@electric-sql/pglite';

/** A PostgreSQL whose files lie in this folder. */
export async function makeBooks(folder: string): Promise<void> {
  const db = await PGlite.create(folder);
  await db.exec(`
    create table orders (id integer primary key, quarter text not null, amount integer not null);
    create table customers (id integer primary key, name text not null);
    insert into orders values (1, 'Q1', 120), (2, 'Q1', 80), (3, 'Q1', 45), (4, 'Q2', 200), (5, 'Q2', 10), (6, 'Q2', 75), (7, 'Q2', 33);
    insert into customers values (1, 'Ada'), (2, 'Grace');
  `);
  await db.close();
}
