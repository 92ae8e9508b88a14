// docs/quick-start.md: from nothing to a governed client and back, for each client that is known, from the data about them.

import type { KnownClient } from '../adapters/clients/known-clients.ts';
import { pathText, usualFolder } from './place-text.ts';

const HEAD = `# Quick start

From nothing to a client behind the gate, and back. Made from the data about the clients (\`npm run generate\`).

## For every client

1. **Install it**, once, with Node 20.19 or newer. In a checkout ([other ways](install.md)):

       npm install && npm install -g .

2. **Put the client's servers behind the gate.** \`init\` shows every field that would change, and asks. Servers of a project: start it in the project's folder.

       portcullis init

3. **Approve each server, and say what is allowed.** It is started, everything that it says of itself is shown, and you are asked. \`--allow-read-only\` allows
   the tools of which the server says that they only read; \`--allow TOOL,TOOL\` allows those that you name. Everything else stays denied. Without a
   terminal: \`--digest\`, with what \`portcullis tools review\` says.

       portcullis tools approve --allow-read-only

4. **Start the client anew**, as its section here says, and ask it for something that one of the allowed tools does. A gate that runs keeps the rules that it
   began with: a client that read its file by itself, before the approval, is to start the server once more.

5. **See that it goes through the gate.** \`doctor\` says of each server when its client came, and which servers no gate sees; \`log\` lists the calls.

       portcullis doctor
       portcullis log

6. **Back**, byte for byte where nobody has changed the file since:

       portcullis restore --all

To deny everything for a while: \`portcullis pause\`, then \`portcullis resume\`. What \`init\` writes and what it leaves alone: [onboarding.md](onboarding.md). More
rules: [policy.md](policy.md).

## What a denial looks like

A tool that no rule allows is not in the client's list, and a server that is not approved has no tools there. A call that is denied for what it asks is
answered at once; the client shows the answer where it shows results of tools, and the model reads it:

    Denied by Portcullis (POLICY_FORBID): a rule forbids this call. Not executed. Do not retry; ask the user.
    For the operator: portcullis policy explain 01M817HR0PE87GXYQ0Z9M8NZ2G

The second line is the command that says which rule it was. Each code and what to do about it: [troubleshooting.md](troubleshooting.md). What the models of
seven of these clients were told, word for word: [clients.md](clients.md#seen-with-real-clients).
`;

export function quickStart(clients: readonly KnownClient[]): string {
  return `${HEAD}\n${clients.map(sectionOf).join('\n')}`;
}

function sectionOf({ id, title, places, ungoverned, reload, source, checked }: KnownClient): string {
  const files = [...new Set(places.map((place) => `\`${shortPath(place)}\``))];
  const commands = [
    [`portcullis init --client ${id}`, 'shows what changes, and asks'],
    ['portcullis tools approve --allow-read-only', 'shows each server, and asks'],
    ['portcullis doctor', 'when the client has started anew: came through the gate'],
    [`portcullis restore --client ${id}`, 'whenever you want to go back'],
  ];
  return `## ${title}

${commands.map(([command = '', why = '']) => `    ${command.padEnd(44)}# ${why}`).join('\n')}

- So that it takes effect: ${reload}.
- Never behind the gate: ${ungoverned.join('; ')}.
- Read and written: ${files.join(', ')} ([folders](clients.md#where-each-keeps-its-servers)). Checked ${checked}: ${source}.
`;
}

/** In the folder where it usually is. */
function shortPath(place: KnownClient['places'][number]): string {
  const usual = usualFolder(place);
  return usual === undefined ? pathText(place) : place.file.replace(/^\{[^}]*\}/, usual);
}
