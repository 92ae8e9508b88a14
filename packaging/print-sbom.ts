// `npm run sbom`: prints what is installed with the package, as CycloneDX.

import { fileURLToPath } from 'node:url';
import { sbom } from './sbom.ts';

process.stdout.write(sbom(fileURLToPath(new URL('../', import.meta.url))));
