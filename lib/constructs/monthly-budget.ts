import { CfnBudget } from 'aws-cdk-lib/aws-budgets';
import { Construct } from 'constructs';
import { isTopic } from '../environments.ts';

export interface MonthlyBudgetProps {
  readonly name: string;
  /** The budget per month in US dollars. */
  readonly limit: number;
  /** The ARN of an SNS topic that allows `budgets.amazonaws.com` to publish, or an email address. */
  readonly target: string;
}

/**
 * A budget for the whole account. A budget for single stacks would need active cost allocation tags, because a filter by an
 * inactive tag matches no costs. AWS updates costs up to 3 times a day.
 *
 * @see https://docs.aws.amazon.com/cost-management/latest/userguide/budgets-best-practices.html
 */
export class MonthlyBudget extends Construct {
  constructor(scope: Construct, id: string, { name, limit, target }: MonthlyBudgetProps) {
    super(scope, id);
    const subscribers = [{ subscriptionType: isTopic(target) ? 'SNS' : 'EMAIL', address: target }];
    const above = (notificationType: 'ACTUAL' | 'FORECASTED', threshold: number) => ({
      notification: { notificationType, comparisonOperator: 'GREATER_THAN', threshold, thresholdType: 'PERCENTAGE' },
      subscribers,
    });
    new CfnBudget(this, 'Budget', {
      budget: {
        budgetName: name,
        budgetType: 'COST',
        timeUnit: 'MONTHLY',
        budgetLimit: { amount: limit, unit: 'USD' },
      },
      notificationsWithSubscribers: [above('ACTUAL', 80), above('ACTUAL', 100), above('FORECASTED', 100)],
    });
  }
}
