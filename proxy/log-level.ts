// The eight severities of RFC 5424, as MCP uses them for log messages.

const LEVELS = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency'];

export function isLogLevel(text: unknown): text is string {
  return typeof text === 'string' && LEVELS.includes(text);
}

/** Whether a message of this severity is wanted by someone who asked for `least` and above; by someone who never asked, any is. */
export function isLoggable(level: unknown, least: string | undefined): boolean {
  return isLogLevel(level) && (least === undefined || LEVELS.indexOf(level) >= LEVELS.indexOf(least));
}
