import { createServer } from 'node:http';
import { createRegistry } from 'zot-ts';
import { MemoryDriver } from './memory-driver.ts';

// A registry inside another HTTP server, which has pages of its own. The configuration is that of `zot`; what is stored
// goes to the caller's driver, and `rootDirectory` holds the databases of the registry.
const rootDirectory = process.argv[2] ?? './zot-data';
const registry = await createRegistry(
  { storage: { rootDirectory }, log: { level: 'error' } },
  { driver: new MemoryDriver() },
);

const server = createServer((request, response) => {
  if (request.url?.startsWith('/v2/')) registry.handler(request, response);
  else response.end('This server has a registry below /v2/.\n');
});

server.listen(Number(process.env['PORT'] ?? 0), '127.0.0.1', () => {
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : address;
  console.log(`http://127.0.0.1:${port}`);
});

process.once('SIGTERM', () => {
  server.close(() => void registry.stop());
  server.closeIdleConnections();
});
