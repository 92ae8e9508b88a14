/** We are wrong. Nobody catches this to carry on: the call ends and the gate halts shut. */
export class Defect extends Error {
  override readonly name = 'Defect';
}
