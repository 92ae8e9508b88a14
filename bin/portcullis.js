#!/usr/bin/env node
const { joinedAhead } = await import('../dist/bundle/joining-ahead.js');
const joined = await joinedAhead(process.argv.slice(2));
if (typeof joined === 'number') process.exit(joined);
if (joined === 'alone') process.argv.splice(3, 0, '--alone');
await import('../dist/bundle/deciding-ahead.js');
await import('../dist/bundle/main.js');
