// Loaded before the gate (`node --import`): ends it with SIGKILL at one point in the life of one call. The gate itself knows nothing of this. KILL_AT
// names the point, KILL_ARGUMENTS a text in the arguments of the call.

import { isMainThread } from 'node:worker_threads';

const { KILL_AT: point, KILL_ARGUMENTS: marked } = process.env;
const die = () => {
  process.kill(process.pid, 'SIGKILL');
  // The signal is on its way: nothing else may happen before it is there.
  for (;;);
};

if (isMainThread && point !== undefined && marked !== undefined) {
  const inside = new URL('../../dist/bundle/inside.js', import.meta.url);
  const { Gate, LedgerKeeper, LedgerWriter } = await import(inside.href);
  const calls = new Set();
  const values = new WeakSet();
  const at = (name) => {
    if (name === point) die();
  };

  const { verify, record, execute, conclude } = Gate.prototype;
  Gate.prototype.verify = async function (permit, captured) {
    if (!captured.argumentsJson.includes(marked)) return verify.call(this, permit, captured);
    calls.add(captured.call);
    at('before the permit is verified');
    const verification = await verify.call(this, permit, captured);
    at('after the permit is verified');
    return verification;
  };
  Gate.prototype.record = async function (verified, intent, payloads) {
    if (!calls.has(intent.call)) return record.call(this, verified, intent, payloads);
    at('before the intent is written');
    const writing = record.call(this, verified, intent, payloads);
    at('while the intent is queued');
    const recorded = await writing;
    at('when the intent is durable');
    if ('recorded' in recorded) values.add(recorded.recorded);
    return recorded;
  };
  Gate.prototype.execute = function (recorded, hooks) {
    if (!values.has(recorded)) return execute.call(this, recorded, hooks);
    at('before the bytes leave');
    const run = execute.call(this, recorded, hooks);
    at('in the tick in which the bytes leave');
    if (point === 'while the tool works') setTimeout(die, 150);
    if (!('answer' in run)) return run;
    return {
      ...run,
      cancel: (...why) => run.cancel(...why),
      answer: run.answer.then((answer) => {
        at('when the tool has answered');
        return answer;
      }),
    };
  };
  Gate.prototype.conclude = async function (recorded, body, payloads) {
    if (!calls.has(body.call)) return conclude.call(this, recorded, body, payloads);
    at('before the ending is written');
    const writing = conclude.call(this, recorded, body, payloads);
    at('while the ending is queued');
    const receipt = await writing;
    at('when the ending is durable');
    if (point === 'when the client has its answer') setTimeout(die, 50);
    return receipt;
  };
  const { append } = LedgerKeeper.prototype;
  LedgerKeeper.prototype.append = async function (body, payloads) {
    const isDenial = body.type === 'call.denial' && payloads.some(({ bytes }) => Buffer.from(bytes).includes(marked));
    if (isDenial) at('before a denial is written');
    const receipt = await append.call(this, body, payloads);
    if (isDenial) at('when a denial is durable');
    return receipt;
  };
  const appendAll = LedgerWriter.prototype.append;
  LedgerWriter.prototype.append = async function (bodies, payloads) {
    const isRecovery = bodies.some(({ events }) => events?.some(({ type }) => type === 'gate.restarted'));
    if (isRecovery) at('before recovery writes');
    const receipts = await appendAll.call(this, bodies, payloads);
    if (isRecovery) at('when recovery has written');
    return receipts;
  };
}
