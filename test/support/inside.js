// What tests reach of the program as it is shipped: the very modules that it runs, by name. The build makes `dist/bundle/inside.js` of it, and the package
// leaves that out.

export { environmentOf, lineOf } from '../../dist/adapters/integrity/environment-of.js';
export { FileDigests } from '../../dist/adapters/integrity/file-digests.js';
export { isMeasurement, measure } from '../../dist/adapters/integrity/measurement.js';
export { CredentialStore } from '../../dist/adapters/upstream/http/oauth/credentials.js';
export { Approvals, approvalFor } from '../../dist/cli/approvals.js';
export { measuringMeans, sandboxOf } from '../../dist/cli/attestations.js';
export { credentialsFile, findHome, gateFolder } from '../../dist/cli/home.js';
export { openKeys } from '../../dist/cli/ledger.js';
export { readDefinition } from '../../dist/cli/live-definition.js';
export { loadConfiguration } from '../../dist/cli/open-gate.js';
export { reviewSandbox } from '../../dist/cli/review-sandbox.js';
export { launchOf, unlistedServer } from '../../dist/cli/servers.js';
export { serverName } from '../../dist/cli/wrapped-server.js';
export { packageRunner } from '../../dist/control-plane/integrity/package-runner.js';
export { LedgerWriter } from '../../dist/ledger/writer.js';
export { Gate } from '../../dist/proxy/gate.js';
export { LedgerKeeper } from '../../dist/proxy/ledger-keeper.js';
