// The one reason for which a start ends without a fault: the peer was heard, and what it said shows that it speaks another era.
// An answer that shows nothing of the sort (401, 403, 5xx, silence, a broken connection) is a failure and never becomes this.

export class OtherEra extends Error {
  override readonly name = 'OtherEra';
}

/** Whether a start ended for that reason. */
export function speaksOtherEra(fault: unknown): boolean {
  return fault instanceof OtherEra || (fault instanceof Error && fault.cause instanceof OtherEra);
}
