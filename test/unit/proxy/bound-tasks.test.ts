import { describe, expect, it } from 'vitest';
import type { CallId } from '../../../domain/ids.ts';
import { type BoundTask, BoundTasks } from '../../../proxy/bound-tasks.ts';
import { TASKS_PER_AGENT_MAX, TASKS_REMEMBERED_MAX } from '../../../proxy/limits.ts';
import { proves } from '../../guarantees.ts';

const task = (taskId: string, more: Partial<BoundTask> = {}): BoundTask => ({
  server: 'fs',
  taskId,
  agent: 'coder',
  tool: 'build',
  call: '01JZ0000000000000000000000' as CallId,
  ...more,
});

describe('a task', () => {
  proves('G9', 'is found by its agent, under exactly its id, and by nobody else', () => {
    const tasks = new BoundTasks();
    const name = tasks.bind(task('t'));
    expect(tasks.find(name, 'coder')).toMatchObject({ taskId: 't' });
    for (const agent of ['other', 'Coder', '', 'constructor']) expect(tasks.find(name, agent)).toBeUndefined();
    for (const id of ['T', 't ', '', 'fs t', 'constructor']) expect(tasks.find(id, 'coder')).toBeUndefined();
    expect(tasks.of('other')).toEqual([]);
    expect(tasks.named('other', 't')).toBeUndefined();
  });

  proves('G9', 'has the name that the server gave it, whatever tasks others have', () => {
    const tasks = new BoundTasks();
    tasks.bind(task('t', { agent: 'other', server: 'elsewhere' }));
    expect(tasks.bind(task('t'))).toBe('t');
  });

  it('of another server with the same id has another name', () => {
    const tasks = new BoundTasks();
    const [first, second] = [tasks.bind(task('t')), tasks.bind(task('t', { server: 'git' }))];
    expect(second).not.toBe(first);
    expect(tasks.find(first, 'coder')?.server).toBe('fs');
    expect(tasks.find(second, 'coder')?.server).toBe('git');
    expect(tasks.named('git', 't')?.name).toBe(second);
    expect(tasks.bind(task('t', { server: 'git' }))).toBe(second);
  });

  proves('G9', 'of one client’s own server is another one than that of the same id of another’s', () => {
    const tasks = new BoundTasks();
    const [one, two] = [{}, {}];
    const names = [
      tasks.bind(task('t', { tool: 'shared' })),
      tasks.bind(task('t', { tool: 'one', scope: one })),
      tasks.bind(task('t', { tool: 'two', scope: two, agent: 'other' })),
    ];
    expect(tasks.find(names[0] ?? '', 'coder')?.tool).toBe('shared');
    expect(tasks.find(names[1] ?? '', 'coder')).toMatchObject({ tool: 'one', scope: one });
    expect(names[2]).toBe('t');
    expect(tasks.named('fs', 't')?.task.tool).toBe('shared');
    expect(tasks.named('fs', 't', two)?.task.agent).toBe('other');
    expect(tasks.named('fs', 't', {})).toBeUndefined();
    tasks.learn('fs', 't', { status: 'working' }, one);
    expect(tasks.state(names[0] ?? '', 'coder')).toEqual({});
    tasks.forget(one);
    tasks.forget({});
    expect(tasks.find(names[1] ?? '', 'coder')).toBeUndefined();
    expect(tasks.of('coder')).toEqual(['t']);
    expect(tasks.of('other')).toEqual(['t']);
  });

  proves('G4', 'whose id its server gives to the same agent anew is the latest one', () => {
    const tasks = new BoundTasks();
    tasks.bind(task('t', { tool: 'first' }), { status: 'completed' });
    expect(tasks.bind(task('t', { tool: 'second' }))).toBe('t');
    expect(tasks.find('t', 'coder')?.tool).toBe('second');
    expect(tasks.state('t', 'coder')).toEqual({});
  });

  proves('G4', "whose id its server gives to somebody else is not the first one's any more", () => {
    const tasks = new BoundTasks();
    tasks.bind(task('t'));
    tasks.bind(task('t', { agent: 'other' }));
    expect(tasks.find('t', 'coder')).toBeUndefined();
    expect(tasks.find('t', 'other')).toBeDefined();
    expect(tasks.named('fs', 't')?.task.agent).toBe('other');
  });

  it('keeps its last state, and nothing of what it has come to', () => {
    const tasks = new BoundTasks();
    tasks.bind(task('t'), { status: 'working', ttl: null, result: { secret: 1 } });
    tasks.learn('fs', 't', { status: 'completed', statusMessage: 'x', createdAt: 'y'.repeat(65) });
    tasks.learn('fs', 'unknown', { status: 'failed' });
    expect(tasks.state('t', 'coder')).toEqual({ status: 'completed', ttl: null });
    expect(tasks.state('t', 'other')).toEqual({});
  });
});

describe('many tasks', () => {
  it('of one agent: the oldest of its own are forgotten, and none of another agent', () => {
    const tasks = new BoundTasks();
    tasks.bind(task('old', { agent: 'other', server: 'git' }));
    for (let n = 0; n <= TASKS_PER_AGENT_MAX; n++) tasks.bind(task(`t${n}`));
    expect(tasks.of('coder')).toHaveLength(TASKS_PER_AGENT_MAX);
    expect(tasks.find('t0', 'coder')).toBeUndefined();
    expect(tasks.named('fs', 't0')).toBeUndefined();
    expect(tasks.find('old', 'other')).toBeDefined();
  });

  it('of all agents: the oldest is forgotten', () => {
    const tasks = new BoundTasks();
    for (let n = 0; n <= TASKS_REMEMBERED_MAX; n++) tasks.bind(task(`t${n}`, { agent: `a${n}` }));
    expect(tasks.find('t0', 'a0')).toBeUndefined();
    expect(tasks.find('t1', 'a1')).toBeDefined();
  });
});
