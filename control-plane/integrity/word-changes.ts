// Two texts compared word by word, as a person reads them. What is the same in both is said once.

export interface Segment {
  readonly kind: 'same' | 'removed' | 'added';
  readonly text: string;
}

/** Comparing costs the product of both numbers of words: what is larger than this is shown as removed and added, whole. */
const CELLS_MAX = 4_000_000;

export function wordChanges(before: string, after: string): readonly Segment[] {
  const [a, b] = [wordsOf(before), wordsOf(after)];
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a.at(-1 - end) === b.at(-1 - end)) end++;
  const inner = compared(a.slice(start, a.length - end), b.slice(start, b.length - end));
  const same = (words: readonly string[]): Segment[] =>
    words.length === 0 ? [] : [{ kind: 'same', text: words.join('') }];
  return [...same(a.slice(0, start)), ...inner, ...same(a.slice(a.length - end))];
}

/** Words, and what stands between them. */
function wordsOf(text: string): string[] {
  return text.match(/[\p{L}\p{M}\p{N}_]+|\s+|[^\p{L}\p{M}\p{N}_\s]/gu) ?? [];
}

function compared(a: readonly string[], b: readonly string[]): Segment[] {
  if (a.length * b.length > CELLS_MAX) return joined([...a.map(removed), ...b.map(added)]);
  const width = b.length + 1;
  // The length of what is common from here on.
  const common = new Uint32Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      common[i * width + j] =
        a[i] === b[j]
          ? (common[(i + 1) * width + j + 1] ?? 0) + 1
          : Math.max(common[(i + 1) * width + j] ?? 0, common[i * width + j + 1] ?? 0);
    }
  }
  const found: Segment[] = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    const [one, other] = [a[i], b[j]];
    if (one !== undefined && one === other) {
      found.push({ kind: 'same', text: one });
      i++;
      j++;
    } else if (
      one !== undefined &&
      (other === undefined || (common[(i + 1) * width + j] ?? 0) >= (common[i * width + j + 1] ?? 0))
    ) {
      found.push(removed(one));
      i++;
    } else {
      found.push(added(other ?? ''));
      j++;
    }
  }
  return joined(found);
}

function removed(text: string): Segment {
  return { kind: 'removed', text };
}

function added(text: string): Segment {
  return { kind: 'added', text };
}

function joined(segments: readonly Segment[]): Segment[] {
  const result: Segment[] = [];
  for (const segment of segments) {
    const last = result.at(-1);
    if (last?.kind === segment.kind) result[result.length - 1] = { kind: last.kind, text: last.text + segment.text };
    else result.push(segment);
  }
  return result;
}
