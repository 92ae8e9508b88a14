// An open WebSocket as a channel of texts to another gate. Who is there, the texts have to prove. What is not text, is too large or not read in time
// ends the connection.

import type { WebSocket } from 'ws';
import type { PeerChannel, PeerLine } from '../../proxy/peer-session.ts';
import type { PeerLimits } from './limits.ts';

const NORMAL = 1000;
const NOT_TEXT = 1003;

/** Joins both for as long as the connection lasts. */
export function serveChannel(
  socket: WebSocket,
  limits: PeerLimits,
  connect: (channel: PeerChannel) => PeerLine,
): PeerLine {
  const end = (code: number): void => {
    socket.close(code);
    setTimeout(() => socket.terminate(), limits.closeGraceMs).unref();
  };
  let line: PeerLine | undefined;
  let gone = false;
  socket.on('error', () => undefined); // The end of the connection follows.
  socket.on('message', (data, isBinary) => {
    if (isBinary) end(NOT_TEXT);
    else line?.receive((data as Buffer).toString('latin1')); // What is not ASCII is no token either way.
  });
  socket.on('close', () => {
    gone = true;
    line?.gone();
  });
  line = connect({
    send: (text) => {
      if (socket.readyState !== socket.OPEN) return;
      socket.send(text);
      // A gate that does not read is cut off rather than kept in memory.
      if (socket.bufferedAmount > limits.waitingBytesMax) socket.terminate();
    },
    close: () => end(NORMAL),
  });
  if (gone) line.gone();
  return line;
}
