import { createRegistry } from 'zot-ts';

// A registry that opens a port of its own, for as long as a program needs one: here for one push and pull.
const registry = await createRegistry({
  storage: { rootDirectory: process.argv[2] ?? './zot-data' },
  http: { address: '127.0.0.1', port: '0' },
  log: { level: 'error' },
});
const url = await registry.start();
try {
  const blob = Buffer.from('{}');
  const digest = 'sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a';
  const upload = await fetch(`${url}/v2/demo/blobs/uploads/?digest=${digest}`, {
    method: 'POST',
    body: blob,
  });
  console.log('pushed the blob:', upload.status);

  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    artifactType: 'application/vnd.example.note',
    config: { mediaType: 'application/vnd.oci.empty.v1+json', digest, size: blob.length },
    layers: [{ mediaType: 'application/vnd.oci.empty.v1+json', digest, size: blob.length }],
  });
  const headers = { 'content-type': 'application/vnd.oci.image.manifest.v1+json' };
  const push = await fetch(`${url}/v2/demo/manifests/latest`, { method: 'PUT', headers, body: manifest });
  console.log('pushed the manifest:', push.status);

  const pull = await fetch(`${url}/v2/demo/manifests/latest`);
  console.log('pulled what was pushed:', (await pull.text()) === manifest);
} finally {
  await registry.stop();
}
