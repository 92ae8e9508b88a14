// portcullis replay: the live fold over the ledger, and every decision made again from what it saw. No tool can be reached from here.

import { sha256 } from '../../adapters/crypto/node-crypto.ts';
import { CedarEngine, cedarLanguage } from '../../adapters/policy-engine/cedar.ts';
import { QuarantineAudit } from '../../control-plane/anomaly/quarantine-audit.ts';
import { LineageAudit } from '../../control-plane/lineage/audit.ts';
import { assembleBundle } from '../../control-plane/policy/assemble-bundle.ts';
import { type Bundle, digestWith } from '../../control-plane/policy/bundle.ts';
import { redecide } from '../../control-plane/policy/redecide.ts';
import type { PolicySource } from '../../control-plane/policy/source.ts';
import { RetryAudit } from '../../control-plane/retry-audit.ts';
import { canonicalJson } from '../../domain/canonical-json.ts';
import type { Digest } from '../../domain/digest.ts';
import type { Entry } from '../../domain/entry.ts';
import { isJsonObject, type Json } from '../../domain/json.ts';
import { visibleText } from '../../domain/visible-text.ts';
import type { Payload } from '../../ledger/vault.ts';
import type { CallRequested, DecisionAllowed, DecisionDenied } from '../../state-machines/execution-events.ts';
import { replay } from '../../state-machines/replay.ts';
import { AuthorityAgain } from '../authority-again.ts';
import { EXIT } from '../exit-codes.ts';
import { entriesOf, findLedger } from '../ledger-folder.ts';
import { type Output, output } from '../output.ts';
import { openPayloads } from '../payloads.ts';
import { RetriesAgain } from '../retries-again.ts';
import { verify } from './verify.ts';

export interface ReplayOptions {
  readonly key?: string;
}

type DecisionVerdict = 'match' | 'mismatch' | 'not replayable';

interface CallReplay {
  readonly call: string;
  /** Whether the recorded events lead to the recorded states and entries. */
  readonly transitions: 'match' | 'open' | 'mismatch';
  /** Whether the rules decide the same again; absent where no rule was asked. */
  readonly decision?: DecisionVerdict;
  /** Whether the arguments lie in every scope of the chain; absent where a call had none and stood alone. */
  readonly authority?: DecisionVerdict;
  readonly difference?: string;
}

export async function replayLedger(path: string, options: ReplayOptions, out: Output): Promise<number> {
  const ledger = findLedger(path);
  // Replaying what was altered would only show that it was.
  const quiet = output(true, { stdout: { write: () => true }, stderr: { write: () => true } });
  if ((await verify(ledger.dir, { ...options, quick: true }, quiet)) !== EXIT.ok) {
    out.error('the ledger does not verify, so there is nothing to replay', `run: portcullis verify ${path}`);
    return EXIT.verificationFailed;
  }
  const entries = await entriesOf(ledger);
  const calls = groupByCall(entries);
  const payloads = (await openPayloads(ledger, entries)) ?? new Map<Digest, Payload>();
  const bundles = new Bundles(entries, payloads);
  const audit = new LineageAudit(sha256);
  const quarantines = new QuarantineAudit();
  const denials = new RetryAudit();
  for (const entry of entries) {
    audit.entry(entry);
    quarantines.entry(entry);
    denials.entry(entry);
  }
  const again = new RetriesAgain(entries, payloads);
  const retries = {
    denied: denials.denied,
    elsewhere: denials.elsewhere,
    notReplayable: again.notReplayable,
    findings: [...denials.findings, ...again.findings],
  };
  const besides = audit.findings.length + quarantines.findings.length + retries.findings.length;
  const authority = new AuthorityAgain(entries, payloads);
  const results: CallReplay[] = [];
  for (const [call, recorded] of calls) {
    const folded = replay({ call, entries: recorded });
    const decision = decisionAgain(recorded, bundles, payloads);
    const scoped = authority.of(call, recorded);
    const difference = folded.verdict === 'mismatch' ? folded.difference : (decision?.difference ?? scoped?.difference);
    results.push({
      call,
      transitions: folded.verdict,
      ...(decision === undefined ? {} : { decision: decision.verdict }),
      ...(scoped === undefined ? {} : { authority: scoped.verdict }),
      ...(difference === undefined ? {} : { difference }),
    });
    if (results.length % 10_000 === 0) out.note(`${results.length} of ${calls.size} calls`);
  }
  const count = (test: (result: CallReplay) => boolean): number => results.filter(test).length;
  const differences = results.filter(({ transitions, decision, authority }) =>
    [transitions, decision, authority].includes('mismatch'),
  );
  const summary = {
    ok: differences.length + besides === 0,
    calls: results.length,
    transitionsMatch: count((r) => r.transitions === 'match'),
    open: count((r) => r.transitions === 'open'),
    decisionsMatch: count((r) => r.decision === 'match'),
    decisionsNotReplayable: count((r) => r.decision === 'not replayable'),
    authorityMatch: count((r) => r.authority === 'match'),
    authorityNotReplayable: count((r) => r.authority === 'not replayable'),
    differences,
    chains: audit.findings,
    quarantines: { set: quarantines.set, lifted: quarantines.lifted, findings: quarantines.findings },
    retries,
    // Two machines that replay the same ledger get the same digest.
    digest: digestWith(sha256)(canonicalJson(results as unknown as Json)),
  };
  out.answer(summary);
  out.line(
    `${summary.ok ? out.style('green', 'replayed') : out.style('red', 'DIFFERENT')}  ${summary.calls} calls, ${differences.length + besides} differences`,
  );
  out.line(`  transitions  ${summary.transitionsMatch} the same, ${summary.open} still open`);
  out.line(`  decisions    ${summary.decisionsMatch} the same, ${summary.decisionsNotReplayable} not replayable`);
  const { authorityMatch, authorityNotReplayable } = summary;
  if (authorityMatch + authorityNotReplayable > 0)
    out.line(`  scopes       ${authorityMatch} kept, ${authorityNotReplayable} not replayable`);
  for (const { call, difference } of differences.slice(0, 20))
    out.line(`  ${visibleText(call)}: ${visibleText(difference ?? '')}`);
  for (const { rule, seq, call, detail } of audit.findings.slice(0, 20))
    out.line(`  ${visibleText(call)}: chain, ${rule}, entry ${seq}: ${visibleText(detail, 300)}`);
  for (const { seq, kind, id, detail } of quarantines.findings.slice(0, 20))
    out.line(`  quarantine, entry ${seq}, ${visibleText(kind, 20)} ${visibleText(id, 80)}: ${detail}`);
  for (const { seq, call, detail } of retries.findings.slice(0, 20))
    out.line(`  ${visibleText(call)}: made again, entry ${seq}: ${visibleText(detail, 300)}`);
  out.line(`  digest       ${summary.digest}`);
  return summary.ok ? EXIT.ok : EXIT.verificationFailed;
}

function groupByCall(entries: readonly Entry[]): Map<string, Entry[]> {
  const calls = new Map<string, Entry[]>();
  for (const entry of entries) {
    if (typeof entry.call !== 'string') continue;
    const known = calls.get(entry.call);
    if (known === undefined) calls.set(entry.call, [entry]);
    else known.push(entry);
  }
  return calls;
}

/** The policies of the ledger, assembled again from what was recorded when they were installed. */
class Bundles {
  readonly #sources = new Map<string, Digest>();
  readonly #payloads: ReadonlyMap<Digest, Payload>;
  readonly #loaded = new Map<string, { bundle: Bundle; engine: CedarEngine } | string>();

  constructor(entries: readonly Entry[], payloads: ReadonlyMap<Digest, Payload>) {
    this.#payloads = payloads;
    for (const entry of entries) {
      if (entry.type !== 'policy.installed' || typeof entry.policy !== 'string' || !isJsonObject(entry.source))
        continue;
      this.#sources.set(entry.policy, entry.source.commitment as Digest);
    }
  }

  get(policy: string): { bundle: Bundle; engine: CedarEngine } | string {
    const known = this.#loaded.get(policy);
    if (known !== undefined) return known;
    const loaded = this.#load(policy);
    this.#loaded.set(policy, loaded);
    return loaded;
  }

  #load(policy: string): { bundle: Bundle; engine: CedarEngine } | string {
    const commitment = this.#sources.get(policy);
    const payload = commitment === undefined ? undefined : this.#payloads.get(commitment);
    if (payload === undefined) return 'the text of the policy is not in the vault';
    const source = JSON.parse(Buffer.from(payload.bytes).toString()) as PolicySource;
    const assembled = assembleBundle(source, cedarLanguage, digestWith(sha256));
    if (!assembled.ok) return 'the recorded policy does not assemble';
    if (assembled.bundle.digest !== policy) return 'the recorded policy has another digest';
    return { bundle: assembled.bundle, engine: new CedarEngine(assembled.bundle) };
  }
}

function decisionAgain(
  recorded: readonly Entry[],
  bundles: Bundles,
  payloads: ReadonlyMap<Digest, Payload>,
): { verdict: DecisionVerdict; difference?: string } | undefined {
  const events = recorded.flatMap((entry) => (Array.isArray(entry.events) ? [...entry.events] : [])) as unknown as (
    | CallRequested
    | DecisionAllowed
    | DecisionDenied
  )[];
  const requested = events.find((event) => event.type === 'call.requested');
  const decision = events.find((event) => event.type === 'decision.allowed' || event.type === 'decision.denied');
  // Without an input no rule was asked: the call was refused before.
  if (requested === undefined || decision?.input === undefined || decision.policy === undefined) return undefined;
  const args = requested.args === null ? undefined : payloads.get(requested.args.commitment);
  const input = payloads.get(decision.input.commitment);
  if (args === undefined || input === undefined)
    return { verdict: 'not replayable', difference: 'the payloads are not in the vault' };
  const loaded = bundles.get(decision.policy);
  if (typeof loaded === 'string') return { verdict: 'not replayable', difference: loaded };
  const again = redecide(
    loaded.bundle,
    {
      method: requested.method,
      server: requested.server ?? '',
      tool: requested.tool ?? '',
      principal: requested.principal,
      argumentsJson: Buffer.from(args.bytes).toString(),
      limits: { timeoutMs: 1, outputBytes: 1 },
    },
    Buffer.from(input.bytes).toString(),
    loaded.engine,
  );
  if ('unusable' in again) return { verdict: 'not replayable', difference: again.unusable };
  const then = decision.type === 'decision.allowed' ? 'allow' : decision.code;
  const now = again.decision === 'allow' ? 'allow' : again.code;
  const same = then === now && canonicalJson([...decision.by]) === canonicalJson([...again.by]);
  return same
    ? { verdict: 'match' }
    : {
        verdict: 'mismatch',
        difference: `decided ${then} by ${decision.by.join()}, again ${now} by ${again.by.join()}`,
      };
}
