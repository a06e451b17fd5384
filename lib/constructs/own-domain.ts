import { CfnOutput } from 'aws-cdk-lib';
import { DomainName, SecurityPolicy } from 'aws-cdk-lib/aws-apigatewayv2';
import { Certificate } from 'aws-cdk-lib/aws-certificatemanager';
import type { Construct } from 'constructs';
import type { Domain } from '../environments.ts';

/**
 * A custom domain name for an API. The stack does not configure DNS, because another provider can host it. The output
 * `…Alias` contains the target of the CNAME or alias record.
 */
export function ownDomain(scope: Construct, { name, certificateArn }: Domain): DomainName {
  const domain = new DomainName(scope, 'Domain', {
    domainName: name,
    certificate: Certificate.fromCertificateArn(scope, 'Certificate', certificateArn),
    securityPolicy: SecurityPolicy.TLS_1_2,
  });
  new CfnOutput(scope, 'DomainAlias', {
    value: domain.regionalDomainName,
    description: `Target of the DNS record of ${name}`,
  });
  return domain;
}
