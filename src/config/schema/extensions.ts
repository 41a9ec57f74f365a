import { z } from 'zod';
import {
  choice,
  duration,
  flag,
  hours,
  key,
  lenientSection,
  seconds,
  section,
  size,
  text,
  textList,
} from './key.ts';
import { syncSection } from './sync.ts';

const enable = (doc: string, on: boolean) => key(flag().default(on), doc);

const sbom = () =>
  section({
    enable: key(flag().default(false), 'Make a bill of materials of every image.'),
    format: key(text().default('spdx-json'), '`spdx-json` or `cyclonedx`.'),
  });

const trivy = () =>
  section({
    dbRepository: key(text().default('ghcr.io/aquasecurity/trivy-db'), 'Where the database comes from.', {
      reloadable: true,
    }),
    javaDBRepository: key(text().default('ghcr.io/aquasecurity/trivy-java-db'), 'The same, for Java.', {
      reloadable: true,
    }),
    vulnSeveritySources: key(textList().default(['auto']), 'Whose severities are shown.', {
      reloadable: true,
    }),
    sbom: key(sbom().optional(), 'Bills of materials.', { reloadable: true }),
  });

const search = () =>
  section({
    enable: enable('Answer searches (GraphQL).', true),
    cve: key(
      section({
        updateInterval: key(duration().default(hours(2)), 'How often the database is updated; at least 2h.', {
          reloadable: true,
        }),
        trivy: key(trivy().prefault({}), 'The database of vulnerabilities.'),
      }).optional(),
      'Scan images for vulnerabilities.',
      { reloadable: true },
    ),
  });

const metrics = () =>
  section({
    enable: enable('Serve metrics.', true),
    prometheus: key(
      section({ path: key(text().default('/metrics'), 'The path of the metrics.') }).prefault({}),
      'Metrics in the format of Prometheus.',
    ),
  });

const sinkKeys = () => ({
  type: key(
    choice(['http', 'nats'], () => 'event sink is not supported; write "type": "http" or "nats"'),
    'Whereto events are sent: `http` or `nats`. Required.',
  ),
  address: key(text().default(''), 'The address of the receiver. Required.'),
  channel: key(text().default(''), 'The subject (nats), or an attribute of each event (http).'),
  timeout: key(duration().default(seconds(30)), 'How long sending may take.'),
  proxy: key(text().default(''), 'http only: the address of a proxy.'),
  headers: key(z.record(z.string(), text()).default({}), 'http only: headers to send along.', {
    secret: true,
  }),
  credentials: key(
    lenientSection({
      username: key(text().default(''), 'The user.'),
      password: key(text().default(''), 'The password.', { secret: true }),
      token: key(text().default(''), 'A token.', { secret: true }),
      file: key(text().default(''), 'nats only: a credentials file.', { file: true }),
    }).optional(),
    'How to sign in there.',
  ),
  tlsConfig: key(
    lenientSection({
      caCertFile: key(text().default(''), 'Authorities for the certificate of the receiver.', { file: true }),
      certFile: key(text().default(''), 'A client certificate.', { file: true }),
      keyFile: key(text().default(''), 'The key of the client certificate.', { file: true }),
    }).optional(),
    'TLS of the connection.',
  ),
});

const events = () =>
  section({
    enable: enable('Tell other systems what happens.', false),
    sinks: key(z.array(lenientSection(sinkKeys())).default([]), 'Whom to tell.'),
  });

const redundant = (doc: string) =>
  key(section({ enable: key(flag().optional(), 'Ignored.') }).optional(), doc);

/** `extensions`: everything beyond the distribution specification. */
export const extensionsSection = () =>
  section({
    search: key(search().optional(), 'Search, and scanning for vulnerabilities.'),
    ui: key(
      section({ enable: enable('Serve the web pages.', true) }).optional(),
      'The web pages; need `search`.',
    ),
    metrics: key(metrics().optional(), 'Metrics.'),
    scrub: key(
      section({
        enable: key(flag().default(true), 'Check stored bytes from time to time.', { reloadable: true }),
        interval: key(duration().default(hours(24)), 'How often; at least 2h.', { reloadable: true }),
        rate: key(size().default(64 * 1_048_576), 'Bytes read in a second at most; 0 for no bound.', {
          reloadable: true,
          ours: true,
        }),
      }).optional(),
      'Looks for damaged blobs.',
      { reloadable: true },
    ),
    lint: key(
      section({
        enable: enable('Refuse images that lack annotations.', true),
        mandatoryAnnotations: key(textList().default([]), 'The annotations that images must have.'),
      }).optional(),
      'Checks of pushed images.',
    ),
    trust: key(
      section({
        enable: enable('Verify signatures.', true),
        cosign: key(flag().default(false), 'Signatures of cosign.'),
        notation: key(flag().default(false), 'Signatures of notation.'),
      }).optional(),
      'Signatures of images.',
    ),
    events: key(events().optional(), 'Notifications.'),
    sync: key(syncSection().optional(), 'Copies of other registries.', { reloadable: true }),
    mgmt: redundant('Ignored: on with `search`.'),
    apikey: redundant('Ignored: see `http.auth.apikey`.'),
  });
