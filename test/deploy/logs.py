"""Prints the log events of all groups whose name contains a part, as JSON. Arguments: endpoint, region, part."""

import json
import sys

from botocore.session import get_session

endpoint, region, part = sys.argv[1:]
logs = get_session().create_client("logs", region_name=region, endpoint_url=endpoint)
groups = [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"] if part in group["logGroupName"]]
print(json.dumps([event["message"] for group in groups for event in logs.filter_log_events(logGroupName=group)["events"]]))
