/** The parts of docs/configuration.md that are not made from declarations. */

export const foreword = `# Configuration

<!-- Written by tools/docs-configuration.ts from the declarations in src/config/schema. Change those, and run it. -->

\`zot serve config.json\` reads one file. A file that was written for zot is read as it is; what differs on purpose stands
in [Where we differ from zot](#where-we-differ-from-zot). Without a file the server listens on \`http://127.0.0.1:5000\`, stores in
\`./zot-data\` and accepts Docker's media types.

\`\`\`json
{
  "storage": { "rootDirectory": "/var/lib/registry" },
  "http": { "address": "0.0.0.0", "port": 5000 }
}
\`\`\`

- \`zot verify config.json\` lists everything that is wrong, with the path of each key and, for JSON and YAML, its line. It
  starts, creates and changes nothing. \`--strict\` makes errors of warnings and of files that do not exist; \`--json\` is for
  programs.
- \`zot schema\` prints a JSON Schema with every key, its default and its description, for editors.

## How the file is read

| Point | What happens |
|---|---|
| Format | By the ending of the name: \`.json\`, \`.yaml\`, \`.yml\`, \`.toml\`, in any case. Any other name: JSON, TOML and YAML are tried in this order, and the error is the one of the format that the text looks like. UTF-8, at most 4 MiB, at most 64 levels deep |
| Case of keys | Keys of the tables below match in any case: \`rootdirectory\` is \`rootDirectory\`. Keys that you choose (patterns of repositories, routes, names of groups and headers) keep your letters; routes and patterns are compared in lower case, as names of repositories are. Two keys of one object that differ only in case are an error |
| Unknown keys | An error, with the nearest known key. Tolerated with a warning only in event sinks, and in \`oauth2CredentialHelper\` where it is not used, as in zot |
| The same key twice | YAML and TOML: an error. JSON: the last one counts, with a warning |
| \`null\` | As if the key were absent. In a list: an empty text, 0 or \`{}\` |
| \`{}\` | Present, with all defaults. zot drops empty objects as if they were absent; where that changes the meaning, there is a warning. Only an empty \`storageDriver\`, \`cacheDriver\` or \`sessionDriver\` counts as absent |
| Where a text is expected | A number or a boolean is taken, too: \`8080\` is \`"8080"\`, \`true\` is \`"1"\` |
| Where true or false is expected | A number (0 is false), or one of \`1 t T TRUE true True 0 f F FALSE false False\`; an empty text is false. Anything else is an error |
| Where a whole number is expected | A text with a number (\`0x\`, \`0o\` and \`0b\` are understood, an empty text is 0), a boolean, or a number with a fraction, which is cut off |
| Where a list is expected | A single value or object is a list of one. Texts are not split at commas |
| Durations | A text as Go writes it: \`30s\`, \`1h30m\`, \`1.5h\`, \`-1m\`, \`0\`; units \`ns us µs ms s m h\`. A day is \`24h\`. A bare number means nanoseconds, as in zot, with a warning |
| Sizes | A number of bytes, or a text such as \`4MiB\` (1024 squared), \`4MB\` (1000 squared), \`10k\` (1024) |
| Relative paths | Relative to the folder in which the server was started, not to the file |
| Environment | Never read into the configuration, and never expanded in it. Libraries read their own variables (\`AWS_...\`, \`HTTP_PROXY\`) |
| Dots, slashes and \`::\` in keys | Have no meaning |
| A file with no key at all | An error |

In the tables, *Live* marks what is taken over from a changed file without a restart, in builds that can reload; *Not in zot*
marks keys that zot would refuse; *Secret* marks what is never printed. A default that is empty means that none is set. Regular
expressions have the syntax of RE2, globs that of doublestar: \`*\` within a segment, \`**\` across segments, \`?\`, \`[a-z]\`, \`{a,b}\`,
and \`\\\` before a character that is meant literally.`;

export const afterword = `## Secret files

Three keys name files with secrets, so that the configuration itself need not hold any. They are JSON, YAML or TOML by the
ending of their name, their keys match in any case, and they are read when the configuration is loaded.

| File named by | Keys |
|---|---|
| \`http.auth.ldap.credentialsFile\` | \`bindDN\` and \`bindPassword\` |
| \`http.auth.openid.providers.<name>.credentialsFile\` | \`clientid\` and \`clientsecret\` |
| \`http.auth.sessionKeysFile\` | \`hashKey\`, \`encryptKey\`, or both |

## Keys that were removed

| Old key | Instead |
|---|---|
| \`storage.gcReferrers\` | \`deleteReferrers\` in the policies of \`storage.retention\` |
| \`storage.untaggedImageRetentionDelay\` | \`storage.retention.delay\` |
| \`http.auth.ldap.bindDN\`, \`bindPassword\` | \`http.auth.ldap.credentialsFile\` |
| Patterns directly in \`http.accessControl\` | \`http.accessControl.repositories\` |
| \`http.allowReadAccess\` | \`anonymousPolicy\` of \`["read"]\` for \`**\` in \`http.accessControl.repositories\` |
| \`http.readOnly\` | \`storage.readOnly\` |
| \`extensions.userprefs\` | on wherever \`search\` and \`ui\` are |
| \`extensions.search.cve.enable\` | scanning is on where \`cve\` is present |

## Where we differ from zot

- \`storage.commit\` is on unless you say false: a push that was answered survives a power cut.
- \`log.level\` is \`info\` unless you say otherwise; zot logs \`debug\`.
- \`{}\` counts as present (see above).
- All errors are listed at once, with your own key paths.
- Half of a certificate (\`cert\` without \`key\`), an incomplete \`bearer\` and an \`htpasswd\` without \`path\` are errors: zot serves
  in clear, or open, without a word. To serve so on purpose, remove the section.
- \`http.readTimeout\` and \`http.writeTimeout\` limit the time without progress, not the whole transfer.
- Parameters of object stores and databases are checked: unknown ones are errors, required ones must be there. Numbers of
  sizes may be written as numbers, and \`credentials\` of gcs inline.
- Sub-paths may use Redis, and may take what they do not say from the global store with \`inherit\`.
- Two stores conflict when they really write to the same place: symbolic links are followed, buckets and prefixes compared;
  folders that differ only in case are two where the system tells them apart.
- \`lint\` without \`enable\` is on, and event sinks without \`timeout\` have 30 seconds.
- The configuration that is logged hides keys of accounts, connection strings and passwords in URLs, too.
- Group names must be written alike where they are made and where they are used; a difference in case is a warning.`;
