"""Prints the names of resources that a deployment could have left in an account, as JSON. Arguments: endpoint, region."""

import json
import sys

from botocore.session import get_session

endpoint, region = sys.argv[1:]
session = get_session()


def names(service, operation, field, *part):
    """Returns the items of a field from all pages of an operation, or one attribute of each item."""
    client = session.create_client(service, region_name=region, endpoint_url=endpoint)
    if client.can_paginate(operation):
        pages = client.get_paginator(operation).paginate()
    else:
        pages = [getattr(client, operation)()]
    return sorted(each[part[0]] if part else each for page in pages for each in page.get(field, []))


print(
    json.dumps(
        {
            "alarms": names("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
            "apis": names("apigatewayv2", "get_apis", "Items", "Name"),
            "buckets": names("s3", "list_buckets", "Buckets", "Name"),
            "buses": names("events", "list_event_buses", "EventBuses", "Name"),
            "dashboards": names("cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName"),
            "domains": names("apigatewayv2", "get_domain_names", "Items", "DomainName"),
            "functions": names("lambda", "list_functions", "Functions", "FunctionName"),
            "logs": names("logs", "describe_log_groups", "logGroups", "logGroupName"),
            "mappings": names("lambda", "list_event_source_mappings", "EventSourceMappings", "UUID"),
            "queues": names("sqs", "list_queues", "QueueUrls"),
            "roles": names("iam", "list_roles", "Roles", "RoleName"),
            "schedules": names("scheduler", "list_schedules", "Schedules", "Name"),
            "scheduleGroups": names("scheduler", "list_schedule_groups", "ScheduleGroups", "Name"),
            "stacks": names("cloudformation", "describe_stacks", "Stacks", "StackName"),
            "tables": names("dynamodb", "list_tables", "TableNames"),
            "topics": names("sns", "list_topics", "Topics", "TopicArn"),
        }
    )
)
