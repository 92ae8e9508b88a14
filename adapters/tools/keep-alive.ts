// Keeps the process while something is awaited that no handle of the process stands for: who decides is a thread that keeps nothing alive by itself.

/** As long as timers can be. */
const LONG_MS = 2 ** 30;

/** The same, and the process does not end meanwhile. */
export async function keepAlive<Value>(work: Promise<Value>): Promise<Value> {
  const timer = setInterval(() => {}, LONG_MS);
  try {
    return await work;
  } finally {
    clearInterval(timer);
  }
}
