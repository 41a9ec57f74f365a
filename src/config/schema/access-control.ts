import { z } from 'zod';
import { key, section, text, textList } from './key.ts';

const conditions = () =>
  key(
    z
      .array(
        section({
          expression: key(text().default(''), 'A CEL expression that must be true for the policy to apply.'),
          message: key(text().default(''), 'What the user is told when it is not.'),
        }),
      )
      .default([]),
    'Conditions that must all hold.',
  );

const policyKeys = () => ({
  users: key(textList().default([]), 'Names of users.'),
  groups: key(textList().default([]), 'Names of groups.'),
  actions: key(textList().default([]), '`read`, `create`, `update`, `delete`, `detectManifestCollision`.'),
  conditions: conditions(),
});

const repositoryPolicy = () =>
  section({
    policies: key(z.array(section(policyKeys())).default([]), 'What named users and groups may do.'),
    defaultPolicy: key(textList().default([]), 'What every signed-in user may do.'),
    anonymousPolicy: key(textList().default([]), 'What everybody may do without signing in.'),
  });

/** `http.accessControl`: which user may do what with which repository. */
export const accessControlSection = () =>
  section({
    repositories: key(
      z.record(z.string(), repositoryPolicy()).default({}),
      'Policies by glob (`**`, `team/*`); the longest pattern that matches decides.',
    ),
    adminPolicy: key(section(policyKeys()).optional(), 'What administrators may do, in every repository.'),
    groups: key(
      z.record(z.string(), section({ users: key(textList().default([]), 'The members.') })).default({}),
      'Groups of users, by name.',
    ),
    metrics: key(
      section({
        users: key(textList().default([]), 'Users who may read the metrics.'),
        anonymousPolicy: key(textList().default([]), '`read` lets everybody read the metrics.'),
      }).optional(),
      'Who may read the metrics.',
    ),
  });
