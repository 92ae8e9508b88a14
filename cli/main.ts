// The command line. Each command is loaded when it is used: a client that starts us waits for what we load.

import { Argument, Command, CommanderError } from 'commander';
import type { SettleOptions, UnknownOptions } from './commands/calls.ts';
import type { Shell } from './commands/completion.ts';
import type { DoctorOptions } from './commands/doctor.ts';
import type { GateCommandOptions } from './commands/gate.ts';
import type { HaltOptions } from './commands/halt.ts';
import type { InitOptions } from './commands/init.ts';
import type { IntegrityOptions } from './commands/integrity.ts';
import type { KeysOptions } from './commands/keys.ts';
import type { LineageOptions } from './commands/lineage.ts';
import type { LogOptions } from './commands/log.ts';
import type { LoginOptions } from './commands/login.ts';
import type { PolicyOptions } from './commands/policy.ts';
import type { PolicyInitOptions } from './commands/policy-init.ts';
import type { ProveOptions } from './commands/prove.ts';
import type { QuarantineOptions } from './commands/quarantine.ts';
import type { ReplayOptions } from './commands/replay.ts';
import type { RestoreOptions } from './commands/restore.ts';
import type { RevokeOptions } from './commands/revoke.ts';
import type { ServeOptions } from './commands/serve.ts';
import type { ApproveOptions, ToolsOptions } from './commands/tools.ts';
import type { UninstallOptions } from './commands/uninstall.ts';
import type { VerifyOptions } from './commands/verify.ts';
import type { WrapOptions } from './commands/wrap.ts';
import { decidingThread } from './deciding-ahead.ts';
import { EXIT } from './exit-codes.ts';
import { CommandError, type Output, outliveReaders, output, reasonOf } from './output.ts';
import { packageVersion } from './version.ts';

type Action = (out: Output) => Promise<number>;

let exit: number = EXIT.ok;
/** The answer did not arrive where it was to be written. */
let lost = false;

/** Runs a command and turns what it throws into words and an exit code. */
async function run(json: boolean | undefined, action: Action): Promise<void> {
  const out = output(json === true);
  try {
    exit = await action(out);
  } catch (error) {
    if (error instanceof CommandError) {
      out.error(error.message, ...error.hints);
      exit = error.exit;
    } else {
      out.error(reasonOf(error));
      if (process.env.PORTCULLIS_DEBUG !== undefined && error instanceof Error)
        process.stderr.write(`${error.stack}\n`);
      exit = EXIT.error;
    }
  }
}

const program = new Command('portcullis')
  .description('A fail-closed gate between AI agents and their tools')
  .version(packageVersion())
  .enablePositionalOptions()
  .showHelpAfterError('portcullis: hint: portcullis --help lists the commands')
  .exitOverride()
  .addHelpText(
    'after',
    `
Exit codes: 0 ok, 1 error, 2 usage, 3 denied, 5 verification failed, 6 not all governed, 7 gate shut
Configuration and state: XDG folders, or below PORTCULLIS_HOME`,
  );

interface Json {
  json?: boolean;
}

const JSON_OPTION = ['--json', 'print the answer as JSON'] as const;

/** An option that may be given several times. */
function repeated(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

program
  .command('init')
  .summary('put the servers of your clients behind the gate')
  .description(
    'Finds the MCP clients of this machine and puts their servers behind the gate, in place. Shows first what it would write, and asks; without a terminal it writes nothing unless --yes is given.',
  )
  .option('--client <id>', 'only this client; may be given several times', repeated)
  .option('--server <name>', 'only servers that the client calls so; may be given several times', repeated)
  .option('--yes', 'write without asking')
  .option('--dry-run', 'only show what would be written')
  .option(...JSON_OPTION)
  .action((options: Json & InitOptions) =>
    run(options.json, async (out) => (await import('./commands/init.ts')).init(options, out)),
  );

program
  .command('restore')
  .summary('take what init wrote back')
  .description(
    'Puts the files of clients back as they were: byte for byte where nobody changed them since, otherwise only the entries that go through the gate. The manifest and the ledgers stay.',
  )
  .option('--client <id>', 'only the files of this client; may be given several times', repeated)
  .option('--all', 'the files of every client')
  .option('--yes', 'also write files that changed since, without asking')
  .option('--dry-run', 'only show what would be written')
  .option(...JSON_OPTION)
  .action((options: Json & RestoreOptions) =>
    run(options.json, async (out) => (await import('./commands/restore.ts')).restore(options, out)),
  );

program
  .command('uninstall')
  .summary('take everything back, and remove the state')
  .description(
    'Restores the files of every client, then removes the state of this installation. The ledgers are kept, with what is needed to verify them; the manifest and the rules stay.',
  )
  .option('--purge', 'remove the ledgers too')
  .option('--yes', 'without asking')
  .option(...JSON_OPTION)
  .action((options: Json & UninstallOptions) =>
    run(options.json, async (out) => (await import('./commands/uninstall.ts')).uninstall(options, out)),
  );

program
  .command('wrap')
  .summary('stand in for one stdio server')
  .description('Stands in for one stdio server in a client configuration: the same command, behind the gate.')
  .usage('[options] [-- COMMAND [ARGS...]]')
  .argument('[command]', 'the command that starts the server; not needed where --name is a server of the manifest')
  .argument('[args...]', 'its arguments')
  .option('--config <file>', 'the manifest (portcullis.yaml)')
  .option('--name <name>', 'the name of the server in manifest and rules')
  .option('--agent <name>', 'which agent of the manifest is calling, where there are several')
  .option('--alone', 'a gate of its own, with a ledger of its own, and not the one that all clients share')
  .option(...JSON_OPTION)
  .passThroughOptions()
  .action((command: string | undefined, args: string[], options: Json & WrapOptions) =>
    run(options.json, async (out) => {
      const line = command === undefined ? undefined : { command, args };
      if (options.alone !== true && options.config === undefined) {
        const joined = await (await import('./join-gate.ts')).joinGate({
          name: options.name,
          agent: options.agent,
          line,
        });
        if (joined !== 'alone') return joined;
      }
      const deciding = await decidingThread();
      return (await import('./commands/wrap.ts')).wrap(options, line, out, deciding);
    }),
  );

program
  .command('gate')
  .summary('the gate that all clients share')
  .description(
    'Runs the gate that the entries of all clients share. Started by the first of them; ends when nobody has needed it for ten minutes.',
  )
  .option('--for <server>', 'the server that is needed first')
  .option('--idle-ms <ms>', 'how long it stays when nobody is there (600000)')
  .option('--stop', 'end the one that runs')
  .action((options: GateCommandOptions) =>
    run(false, async (out) => {
      const deciding = await decidingThread();
      return (await import('./commands/gate.ts')).sharedGate(options, out, deciding);
    }),
  );

program
  .command('serve')
  .summary('serve one or more servers over HTTP or stdio')
  .description(
    'Serves the servers of a manifest: all of them at /mcp with tools named server__tool, one of them at /mcp/SERVER.',
  )
  .option('--config <file>', 'the manifest (portcullis.yaml)')
  .option('--http <host:port>', 'listen for Streamable HTTP; port 0 takes any free one')
  .option('--stdio', 'serve a client on standard input and output')
  .option('--name <name>', 'the name of this gate, which names its ledger')
  .option('--agent <name>', 'which agent of the manifest local clients are, where there are several')
  .option(...JSON_OPTION)
  .action((options: Json & ServeOptions) =>
    run(options.json, async (out) => {
      const deciding = await decidingThread();
      return (await import('./commands/serve.ts')).serve(options, out, deciding);
    }),
  );

program
  .command('lineage')
  .summary('show the tree of calls in which one stands')
  .argument('<call>', 'the id of a call, or of the root')
  .option('--ledger <folder...>', 'ledgers to read; otherwise all of this installation')
  .option('--dot', 'as a graph for Graphviz')
  .option(...JSON_OPTION)
  .action((call: string, options: Json & LineageOptions) =>
    run(options.json, async (out) => (await import('./commands/lineage.ts')).lineage(call, options, out)),
  );

program
  .command('revoke')
  .summary('take authority away, from what runs too')
  .argument('<kind>', 'permit, execution, root, agent, server, tool, policy or key')
  .argument('<id>', 'what `portcullis log` calls it; a tool as SERVER/TOOL; after -- where it begins with -')
  .option('--name <gate>', 'only at the gates of this name; otherwise at every gate of this installation')
  .option(...JSON_OPTION)
  .action((kind: string, id: string, options: Json & RevokeOptions) =>
    run(options.json, async (out) => (await import('./commands/revoke.ts')).revoke(kind, id, options, out)),
  );

for (const [name, summary] of [
  ['halt', 'let nothing pass until it is lifted, and stop what runs'],
  ['pause', 'the same as halt: everything is denied until resume'],
] as const) {
  program
    .command(name)
    .summary(summary)
    .option('--name <gate>', 'only the gates of this name; otherwise every gate of this installation')
    .option('--reason <text>', 'what is told to the operator and recorded')
    .option(...JSON_OPTION)
    .action((options: Json & HaltOptions) =>
      run(options.json, async (out) => (await import('./commands/halt.ts')).halt(options, out)),
    );
}

program
  .command('resume')
  .summary('lift a halt')
  .option('--name <gate>', 'only the gates of this name; otherwise every gate of this installation')
  .option(...JSON_OPTION)
  .action((options: Json & HaltOptions) =>
    run(options.json, async (out) => (await import('./commands/halt.ts')).resume(options, out)),
  );

const quarantine = program.command('quarantine').summary('who was set aside for what it did, and lifting that');

quarantine
  .command('list')
  .summary('show the agents and servers that were set aside')
  .option('--name <gate>', 'only at the gates of this name')
  .option(...JSON_OPTION)
  .action((options: Json & QuarantineOptions) =>
    run(options.json, async (out) => (await import('./commands/quarantine.ts')).quarantineList(options, out)),
  );

quarantine
  .command('lift')
  .summary('let an agent or a server go on')
  .argument('<kind>', 'agent or server')
  .argument('<name>', 'as in the manifest')
  .option('--name <gate>', 'only at the gates of this name; otherwise at every gate of this installation')
  .option(...JSON_OPTION)
  .action((kind: string, id: string, options: Json & QuarantineOptions) =>
    run(options.json, async (out) => (await import('./commands/quarantine.ts')).quarantineLift(kind, id, options, out)),
  );

program
  .command('verify')
  .summary('verify a ledger or a proof, from its bytes')
  .argument('<path...>', 'the folder of a ledger, or a proof file; or the ledgers of several gates')
  .option('--key <vkey>', 'the public key to trust: a verifier key, or a file that holds one', repeated)
  .option('--checkpoint <file>', 'a checkpoint kept from earlier: the ledger must contain it')
  .option('--quick', 'hash every entry, but do not read each one strictly')
  .option(...JSON_OPTION)
  .action((paths: string[], { key: keys = [], ...options }: Json & Omit<VerifyOptions, 'key'> & { key?: string[] }) =>
    run(options.json, async (out) => {
      const { verify, verifyTogether } = await import('./commands/verify.ts');
      const [path = '', another] = paths;
      if (another !== undefined) return verifyTogether(paths, { ...options, keys }, out);
      const [key, second] = keys;
      if (second !== undefined) throw new CommandError('one ledger has one key', EXIT.usage);
      return verify(path, key === undefined ? options : { ...options, key }, out);
    }),
  );

program
  .command('replay')
  .summary('replay every decision of a ledger; touches no tool')
  .argument('<ledger>', 'the folder of a ledger')
  .option('--key <vkey>', 'the public key to trust')
  .option(...JSON_OPTION)
  .action((path: string, options: Json & ReplayOptions) =>
    run(options.json, async (out) => (await import('./commands/replay.ts')).replayLedger(path, options, out)),
  );

program
  .command('prove')
  .summary('write a proof file for one call')
  .argument('<ledger>', 'the folder of a ledger')
  .argument('<call>', 'the id of the call')
  .requiredOption('-o, --output <file>', 'where to write the proof')
  .option('--disclose', 'put the arguments and the result of the call into the proof')
  .option(...JSON_OPTION)
  .action((path: string, call: string, options: Json & ProveOptions) =>
    run(options.json, async (out) => (await import('./commands/prove.ts')).prove(path, call, options, out)),
  );

program
  .command('log')
  .summary('show what happened')
  .argument('[ledger]', 'the folder of a ledger; without it, the newest one of this installation')
  .option('--call <id>', 'only this call')
  .option('--agent <name>', 'only calls of this agent')
  .option('--server <name>', 'only calls to this server')
  .option('--tool <name>', 'only calls of this tool')
  .option('--denied', 'only what was denied')
  .option('--since <time>', 'only from this time on: RFC 3339, or 10m, 2h, 3d')
  .option('-n, --last <count>', 'only the last entries')
  .option('-f, --follow', 'go on with what is appended')
  .option('--all', 'also entries that are not about calls')
  .option('--payloads', 'show arguments and results from the vault')
  .option(...JSON_OPTION)
  .action((path: string | undefined, options: Json & LogOptions) =>
    run(options.json, async (out) => (await import('./commands/log.ts')).log(path, options, out)),
  );

const policy = program.command('policy').summary('write, check, explain and test rules').enablePositionalOptions();

policy
  .command('init')
  .description(
    'Looks at the tools of a real server and writes a starter: every tool listed, nothing allowed that was not chosen.',
  )
  .usage('[options] [-- COMMAND [ARGS...]]')
  .argument('[command]', 'the command that starts the server; not needed where --name is a server of the manifest')
  .argument('[args...]', 'its arguments')
  .option('--config <file>', 'where to write the manifest')
  .option('--name <name>', 'the name of the server')
  .option('--allow <tools>', 'tools to allow, separated by commas')
  .option('--workspace <dir>', 'the folder in which allowed tools may work, where they take paths')
  .option('--cwd <dir>', 'the folder that the server is started in from now on; otherwise this one')
  .option('--force', 'replace files that are there')
  .option(...JSON_OPTION)
  .passThroughOptions()
  .action((command: string, args: string[], options: Json & PolicyInitOptions) =>
    run(options.json, async (out) =>
      (await import('./commands/policy-init.ts')).policyInit(options, { command, args }, out),
    ),
  );

policy
  .command('check')
  .description('Checks manifest and rules against the tools that the servers really have.')
  .option('--config <file>', 'the manifest')
  .option(...JSON_OPTION)
  .action((options: Json & PolicyOptions) =>
    run(options.json, async (out) => (await import('./commands/policy.ts')).policyCheck(options, out)),
  );

policy
  .command('explain')
  .description('Says which rule decides a call and what would have to change.')
  .argument('[call]', 'the id of a recorded call, or a file with {agent, server, tool, arguments}')
  .option('--config <file>', 'the manifest')
  .option('--ledger <dir>', 'the ledger that holds the call')
  .option(...JSON_OPTION)
  .action((call: string | undefined, options: Json & PolicyOptions) =>
    run(options.json, async (out) => (await import('./commands/policy.ts')).policyExplain(call, options, out)),
  );

policy
  .command('test')
  .description('Runs a YAML table of expectations against the rules.')
  .argument('<table>', 'the file with the expectations')
  .option('--config <file>', 'the manifest')
  .option(...JSON_OPTION)
  .action((table: string, options: Json & PolicyOptions) =>
    run(options.json, async (out) => (await import('./commands/policy.ts')).policyTest(table, options, out)),
  );

const tools = program
  .command('tools')
  .summary('look at what servers offer, approve it, take that back')
  .enablePositionalOptions();

const CWD_OPTION = ['--cwd <dir>', 'where servers are started that the manifest starts nowhere in particular'] as const;

tools
  .command('review')
  .description('Shows everything that servers say of themselves, with every character that deceives or cannot be seen.')
  .argument('[servers...]', 'servers of the manifest; otherwise all')
  .option('--config <file>', 'the manifest')
  .option(...CWD_OPTION)
  .option(...JSON_OPTION)
  .action((servers: string[], options: Json & ToolsOptions) =>
    run(options.json, async (out) => (await import('./commands/tools.ts')).toolsReview(servers, options, out)),
  );

tools
  .command('approve')
  .description('Shows what is not approved and asks, server by server; with --digest it approves exactly that.')
  .argument('[servers...]', 'servers of the manifest; otherwise all that are not approved')
  .option('--digest <digest>', 'approve what has this digest, without asking; may be given several times', repeated)
  .option('--allow <tools>', 'write rules that allow these tools of it, separated by commas')
  .option('--allow-read-only', 'write rules that allow the tools of which it says that they only read')
  .option('--config <file>', 'the manifest')
  .option(...CWD_OPTION)
  .option(...JSON_OPTION)
  .action((servers: string[], options: Json & ApproveOptions) =>
    run(options.json, async (out) => (await import('./commands/tools.ts')).toolsApprove(servers, options, out)),
  );

tools
  .command('diff')
  .description('Shows word by word what differs between what was approved and what servers say now.')
  .argument('[servers...]', 'servers of the manifest; otherwise all')
  .option('--config <file>', 'the manifest')
  .option(...CWD_OPTION)
  .option(...JSON_OPTION)
  .action((servers: string[], options: Json & ToolsOptions) =>
    run(options.json, async (out) => (await import('./commands/tools.ts')).toolsDiff(servers, options, out)),
  );

tools
  .command('revoke')
  .description(
    'Takes approvals back: nothing of these servers is offered any more, and what runs with them is stopped.',
  )
  .argument('<servers...>', 'names of servers')
  .option(...JSON_OPTION)
  .action((servers: string[], options: Json) =>
    run(options.json, async (out) => (await import('./commands/tools.ts')).toolsRevoke(servers, out)),
  );

program
  .command('login')
  .summary('get a token for a protected server')
  .description(
    'Shows the address at which to consent, waits for the answer on this machine, and keeps the token for the gate.',
  )
  .argument('<server>', 'the name of a remote server in the manifest')
  .option('--config <file>', 'the manifest (portcullis.yaml)')
  .option('--name <name>', 'the gate that is to have the token', 'serve')
  .option('--agent <agent>', 'whose token it is to be, where each agent has its own')
  .option('--open', 'open the address in the browser')
  .option(...JSON_OPTION)
  .action((server: string, options: Json & LoginOptions) =>
    run(options.json, async (out) => (await import('./commands/login.ts')).login(server, options, out)),
  );

program
  .command('keys')
  .summary('show the public keys of this installation, or make an API key')
  .option('--new-api-key', 'make an API key; only its digest is for the manifest')
  .option('--of <file>', "what the manifest says of somebody's public key or certificate")
  .option(...JSON_OPTION)
  .action((options: Json & KeysOptions) =>
    run(options.json, async (out) => (await import('./commands/keys.ts')).keys(options, out)),
  );

const calls = program
  .command('calls')
  .summary('calls of which nobody knows whether they ran')
  .enablePositionalOptions();

calls
  .command('unknown')
  .description('Lists calls that may have run, and that are denied when they are made again until a person has looked.')
  .option('--name <name>', 'only those of the gates of this name')
  .option(...JSON_OPTION)
  .action((options: Json & UnknownOptions) =>
    run(options.json, async (out) => (await import('./commands/calls.ts')).unknownCalls(options, out)),
  );

calls
  .command('settle')
  .description('Says what became of them. It is recorded, and the calls can be made again.')
  .argument('<call...>', 'the ids of the calls')
  .option('--ran', 'they did run')
  .option('--did-not-run', 'they did not')
  .option('--not-known', 'nobody can find out; they may run again all the same')
  .option('--name <name>', 'only of the gates of this name')
  .option(...JSON_OPTION)
  .action((ids: string[], options: Json & SettleOptions) =>
    run(options.json, async (out) => (await import('./commands/calls.ts')).settleCalls(ids, options, out)),
  );

program
  .command('integrity')
  .summary('what servers run, compared with what was approved')
  .argument('[servers...]', 'of the manifest; all when absent')
  .option('--config <file>', 'the manifest')
  .option(...CWD_OPTION)
  .option(...JSON_OPTION)
  .action((servers: string[], options: Json & IntegrityOptions) =>
    run(options.json, async (out) => (await import('./commands/integrity.ts')).integrity(servers, options, out)),
  );

program
  .command('doctor')
  .summary('check this installation')
  .option('--config <file>', 'the manifest')
  .option(...JSON_OPTION)
  .action((options: Json & DoctorOptions) =>
    run(options.json, async (out) => (await import('./commands/doctor.ts')).doctor(options, out)),
  );

program
  .command('completion')
  .summary('completion for bash, zsh or fish')
  .description('Prints a script for a shell; its first lines say where to put it.')
  .addArgument(new Argument('<shell>', 'bash, zsh or fish').choices(['bash', 'zsh', 'fish']))
  .option(...JSON_OPTION)
  .action((shell: Shell, options: Json) =>
    run(options.json, async (out) => (await import('./commands/completion.ts')).completion(shell, program, out)),
  );

/** Help, version and refusals of usage, alike for every command. */
function completeCommand(command: Command): void {
  if (command !== program) command.version(packageVersion());
  // What commander calls "error: ..." is said as we say everything; with --json below, as JSON.
  command.configureOutput({
    outputError: (text, write) => {
      if (!asksForJson()) write(text.replace(/^error: /, 'portcullis: '));
    },
  });
  if (asksForJson()) command.showHelpAfterError(false);
  command.exitOverride();
  for (const inner of command.commands) completeCommand(inner);
}

/** What stands behind "--" is not ours. */
function asksForJson(): boolean {
  const end = process.argv.indexOf('--');
  return process.argv.slice(2, end === -1 ? undefined : end).includes('--json');
}

completeCommand(program);
outliveReaders((reason) => {
  lost = true;
  process.exitCode ||= EXIT.error;
  process.stderr.write(`portcullis: the answer could not be written: ${reason}\n`);
});

try {
  await program.parseAsync();
} catch (error) {
  // Help and version end here too, with 0; whatever commander refuses is wrong usage.
  exit = error instanceof CommanderError ? (error.exitCode === 0 ? EXIT.ok : EXIT.usage) : EXIT.error;
  if (!(error instanceof CommanderError)) process.stderr.write(`portcullis: ${reasonOf(error)}\n`);
  else if (exit === EXIT.usage && asksForJson()) {
    output(true).error(error.message.replace(/^error: /, ''), 'portcullis --help lists the commands');
  }
}
process.exitCode = lost && exit === EXIT.ok ? EXIT.error : exit;
