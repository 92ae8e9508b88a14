// The environment of a server's process: a short list taken over from ours, what the configuration adds, and nothing else.
// Variables that make a loader or an interpreter run other code are refused even when the configuration asks for them.

/**
 * What programs expect to find in any session of a user. None of them carries a secret or makes a program load code; PATH decides which
 * program a name means and is therefore also what the server's own command is looked up in.
 */
export const INHERITED = [
  'PATH',
  'HOME',
  'USER',
  'LOGNAME',
  'SHELL',
  'LANG',
  'LANGUAGE',
  'TERM',
  'TMPDIR',
  'TZ',
] as const;
const INHERITED_PREFIX = 'LC_';

/** In upper case; matched whatever the case, because npm and others read theirs so. */
const REFUSED = new Set([
  'BASH_ENV',
  'BASHOPTS',
  'BUN_OPTIONS',
  'CDPATH',
  'CLASSPATH',
  'DOTNET_STARTUP_HOOKS',
  'ENV',
  'GCONV_PATH',
  'GIT_SSH',
  'GIT_SSH_COMMAND',
  'GLIBC_TUNABLES',
  'IFS',
  'JAVA_TOOL_OPTIONS',
  'JDK_JAVA_OPTIONS',
  '_JAVA_OPTIONS',
  'LUA_INIT',
  'NODE_EXTRA_CA_CERTS',
  'NODE_OPTIONS',
  'NODE_PATH',
  'NODE_REPL_EXTERNAL_MODULE',
  'NODE_TLS_REJECT_UNAUTHORIZED',
  'OPENSSL_CONF',
  'PERL5DB',
  'PERL5LIB',
  'PERL5OPT',
  'PERLLIB',
  'PHPRC',
  'PHP_INI_SCAN_DIR',
  'PROMPT_COMMAND',
  'PYTHONBREAKPOINT',
  'PYTHONHOME',
  'PYTHONINSPECT',
  'PYTHONPATH',
  'PYTHONSTARTUP',
  'PYTHONUSERBASE',
  'PYTHONWARNINGS',
  'RUBYLIB',
  'RUBYOPT',
  'SHELLOPTS',
  'SSLKEYLOGFILE',
  'ZDOTDIR',
]);
const REFUSED_PREFIXES = ['LD_', 'DYLD_', 'NPM_CONFIG_', 'BASH_FUNC_'];

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

export type Variables = Readonly<Record<string, string | undefined>>;

export interface EnvironmentChoice {
  /** Values from the configuration. They win over what is taken over. */
  readonly set: Readonly<Record<string, string>>;
  /** Names taken over from our own environment beside the usual ones. Those we do not have are left out. */
  readonly inherit: readonly string[];
}

export type ServerEnvironment =
  | { readonly ok: true; readonly env: Record<string, string> }
  | { readonly ok: false; readonly reason: string };

export function isRefusedVariable(name: string): boolean {
  const upper = name.toUpperCase();
  return REFUSED.has(upper) || REFUSED_PREFIXES.some((prefix) => upper.startsWith(prefix));
}

/** The whole environment, in the order of names. Refuses a name or value that cannot be one, and every loader variable. */
export function serverEnvironment(ours: Variables, choice: EnvironmentChoice): ServerEnvironment {
  const chosen = new Map<string, string>();
  const usual = Object.keys(ours).filter(
    (name) => (INHERITED as readonly string[]).includes(name) || name.startsWith(INHERITED_PREFIX),
  );
  for (const name of usual) {
    const value = ours[name];
    // An exported shell function travels as a value that starts so.
    if (value !== undefined && !value.startsWith('()')) chosen.set(name, value);
  }
  const asked = choice.inherit.map((name): [string, string | undefined] => [name, ours[name]]);
  for (const [name, value] of [...asked, ...Object.entries(choice.set)]) {
    if (!NAME.test(name))
      return { ok: false, reason: `${JSON.stringify(name)} cannot be the name of an environment variable` };
    if (isRefusedVariable(name))
      return { ok: false, reason: `the environment variable ${name} may not be given to a server` };
    if (value === undefined) continue;
    if (value.includes('\0')) return { ok: false, reason: `the environment variable ${name} holds a zero byte` };
    chosen.set(name, value);
  }
  return { ok: true, env: Object.fromEntries([...chosen].sort(([a], [b]) => (a < b ? -1 : 1))) };
}
