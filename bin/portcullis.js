#!/usr/bin/env node
await import('../dist/cli/deciding-ahead.js');
await import('../dist/cli/main.js');
