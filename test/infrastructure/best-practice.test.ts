import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App, Stack } from 'aws-cdk-lib';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Bucket, CfnBucket } from 'aws-cdk-lib/aws-s3';
import { AwsSolutionsChecks } from 'cdk-nag';
import type { IConstruct } from 'constructs';
import { describe, expect, onTestFinished, test } from 'vitest';
import { acknowledgeWildcards, policy } from '../../lib/constructs/permission.ts';
import { chosenEnvironment, environmentNames } from '../../lib/environments.ts';
import { addStacks } from '../../lib/rooms-app.ts';

const CERTIFICATE = 'arn:aws:acm:eu-central-1:123456789012:certificate/0b9c1f5e-1d2c-4a53-9e66-d7f2f6c1a001';
const given = {
  issuer: 'https://iams.test.example/realms/rooms',
  allowedOrigins: 'https://ops.test.example',
};
const everything = {
  ...given,
  account: '123456789012',
  region: 'eu-central-1',
  httpDomain: 'rooms.test.example',
  httpDomainCertificate: CERTIFICATE,
  webSocketDomain: 'ws.rooms.test.example',
  webSocketDomainCertificate: CERTIFICATE,
  alarmTarget: 'on-call@test.example',
  restoredTable: 'arn:aws:dynamodb:eu-central-1:123456789012:table/rooms-restored/stream/2026-11-27T03:14:15.926',
  restoredBucket: 'rooms-restored',
};

/** The feature flags that the CDK CLI would pass to the app. One of them makes validation findings errors. */
const { context: flags } = JSON.parse(readFileSync(new URL('../../cdk.json', import.meta.url), 'utf8'));

function app(context: Readonly<Record<string, unknown>> = {}): App {
  const outdir = mkdtempSync(join(tmpdir(), 'rooms-nag-'));
  onTestFinished(() => rmSync(outdir, { recursive: true, force: true }));
  return new App({ outdir, context });
}

/** The findings of the AWS Solutions rules that are not acknowledged in the code. */
const faults = (scope: IConstruct): string[] =>
  new AwsSolutionsChecks(scope)
    .validateScope(scope)
    .violations.flatMap(({ ruleName, violatingResources }) =>
      violatingResources.map(({ constructPath }) => `${ruleName}: ${constructPath}`),
    );

describe('the AWS Solutions rules', () => {
  test.each(environmentNames)('report no finding for %s', (env) => {
    for (const settings of [given, everything]) {
      const all = app();
      const context: Record<string, string> = { env, ...settings };
      addStacks(all, chosenEnvironment(context, environmentNames));
      expect(faults(all)).toEqual([]);
    }
  });

  test('report a violation', () => {
    const stack = new Stack(app(), 'careless');
    new Bucket(stack, 'Open');
    expect(faults(stack)).toContain('AwsSolutions-S10: careless/Open/Resource');
  });

  test('accept a reason for exactly one wildcard', () => {
    const stack = new Stack(app(), 'careless');
    const [reasoned, careless] = [
      { actions: ['s3:GetObject'], resources: ['arn:aws:s3:::a/rooms/*'], wildcard: 'There is a reason.' },
      { actions: ['s3:GetObject'], resources: ['arn:aws:s3:::a/*'] },
    ];
    const role = new Role(stack, 'Role', {
      assumedBy: new ServicePrincipal('lambda.amazonaws.com'),
      inlinePolicies: { access: policy([reasoned, careless]) },
    });
    acknowledgeWildcards(role, [reasoned, careless]);
    expect(faults(stack)).toEqual(['AwsSolutions-IAM5[Resource::arn:aws:s3:::a/*]: careless/Role/Resource']);
  });
});

describe("CDK's validation of the templates", () => {
  test.each(environmentNames)('reports no finding for %s', (env) => {
    const all = app(flags);
    addStacks(all, chosenEnvironment({ env, ...everything }, environmentNames));
    expect(() => all.synth()).not.toThrow();
  });

  test('finds a property that does not exist', () => {
    const all = app(flags);
    new CfnBucket(new Stack(all, 'careless'), 'Bucket').addPropertyOverride('BucketNaem', 'x');
    expect(() => all.synth()).toThrow("'BucketNaem' was unexpected");
  });
});
