"""Starts ministack, an AWS emulator, with what it lacks and what it should not do. Arguments: port, account, region, directory.

The certificate that it serves is written to <directory>/certificate.pem; all else that it writes is below that directory too. It
ends, with the functions that it runs, as soon as its standard input does: whoever started it need not live to end it.
"""

import datetime
import ipaddress
import json
import os
import pathlib
import re
import signal
import sys
import tempfile
import threading
from xml.sax.saxutils import escape

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

port, account, region, directory = sys.argv[1:]


def end_with_starter():
    sys.stdin.buffer.read()
    os.killpg(0, signal.SIGKILL)


def make_certificate(certificate_file, key_file):
    """The policies of our bucket, and of the bucket that cdk bootstrap makes, refuse what does not come over TLS."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "emulated AWS")])
    now = datetime.datetime.now(datetime.timezone.utc)
    hosts = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pkcs8, pem = serialization.PrivateFormat.PKCS8, serialization.Encoding.PEM
    key_file.write_bytes(key.private_bytes(pem, pkcs8, serialization.NoEncryption()))
    certificate_file.write_bytes(certificate.public_bytes(pem))


threading.Thread(target=end_with_starter, daemon=True).start()
home = pathlib.Path(directory)
make_certificate(home / "certificate.pem", home / "key.pem")
(home / "tmp").mkdir()
# Lambda has the AWS SDK at hand for functions that bring none, as those of the CDK do; and no other package.
(home / "runtime").mkdir()
repository = pathlib.Path(__file__).parents[2]
(home / "runtime" / "@aws-sdk").symlink_to(repository / "node_modules" / "@aws-sdk")
os.environ.update(
    {
        "GATEWAY_PORT": port,
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_ACCOUNT_ID": account,
        "MINISTACK_REGION": region,
        "USE_SSL": "1",
        "MINISTACK_SSL_CERT": str(home / "certificate.pem"),
        "MINISTACK_SSL_KEY": str(home / "key.pem"),
        "NODE_EXTRA_CA_CERTS": str(home / "certificate.pem"),
        "NODE_PATH": str(home / "runtime"),
        "NODE_OPTIONS": "--require " + str(pathlib.Path(__file__).with_name("lambda-runtime.cjs")),
        # Every request must be signed by a key that exists, and the policies of its role must allow it.
        "AUTH": "true",
        "LAMBDA_EXECUTOR": "local",
        "PERSIST_STATE": "0",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "HOME": directory,
        "TMPDIR": str(home / "tmp"),
        "S3_DATA_DIR": str(home / "s3"),
    }
)
tempfile.tempdir = None

from ministack import app  # noqa: E402 (reads the environment as it is loaded)
from ministack.core import iam_actions, iam_evaluator  # noqa: E402
from ministack.core.responses import request_scope  # noqa: E402
from ministack.services import apigateway, cloudformation, eventbridge, s3  # noqa: E402
from ministack.services.cloudformation import handlers, provisioners, stacks  # noqa: E402

# Emulator: of dynamodb:LeadingKeys, a condition key of IAM, ministack knows nothing, and lets everything through that is
# conditioned on it. These are the partition keys that a request names; of a query of an index, the index's; of an action in a
# transaction, those of all items with that action. One list does: policies are looked at without a pause after it was filled.
leading_keys = []


def keys_of(request):
    if "KeyConditionExpression" in request:
        value = re.search(r"PK\s*=\s*(:\w+)", request["KeyConditionExpression"]).group(1)
        return [request["ExpressionAttributeValues"][value]["S"]]
    keys = [request[part] for part in ("Key", "Item") if part in request]
    for table in request.get("RequestItems", {}).values():
        # What is read is a list of keys, and what is written a list of requests.
        keys += table["Keys"] if isinstance(table, dict) else [part for each in table for put in each.values() for part in put.values()]
    return [key["PK"]["S"] for key in keys]


service_context_without_keys = iam_actions.dynamodb_service_context
transaction_checks_without_keys = iam_actions.dynamodb_transaction_checks


def dynamodb_service_context(body):
    leading_keys[:] = keys_of(json.loads(body))
    return {**service_context_without_keys(body), "dynamodb:LeadingKeys": leading_keys}


def dynamodb_transaction_checks(iam_action, body, region, account_id):
    checks = transaction_checks_without_keys(iam_action, body, region, account_id)
    items = [request for item in json.loads(body).get("TransactItems", []) for request in item.values()]

    def one_by_one():
        for action, table in checks:
            alike = [request for (other, _), request in zip(checks, items, strict=True) if other == action]
            leading_keys[:] = [key for request in alike for key in keys_of(request)]
            yield action, table

    return one_by_one() if checks else []


iam_actions.dynamodb_service_context = dynamodb_service_context
iam_actions.dynamodb_transaction_checks = dynamodb_transaction_checks

# Emulator: CloudFormation in ministack refuses alarms of more than one metric. They are made, and never looked at.
record_of_one_metric = provisioners._cw_metric_alarm_record


def metric_alarm_record(name, props):
    if not props.get("Metrics"):
        return record_of_one_metric(name, props)
    of_one = {**props, "Metrics": None, "MetricName": "several", "Namespace": "several"}
    return {**record_of_one_metric(name, of_one), "MetricName": None, "Namespace": None, "Metrics": props["Metrics"]}


provisioners._cw_metric_alarm_record = metric_alarm_record


# Emulator: ministack has route responses, but CloudFormation in it does not know them. (Its sockets are two-way with or without.)


def last(name):
    """CloudFormation in ministack takes `<api>/<route>` for the id of a route."""
    return name.rsplit("/", 1)[-1]


def create_route_response(logical_id, props, stack_name):
    route = last(props["RouteId"])
    given = {"routeResponseKey": props["RouteResponseKey"]}
    status, _, body = apigateway._create_route_response(props["ApiId"], route, given)
    if status >= 400:
        raise ValueError(f"AWS::ApiGatewayV2::RouteResponse create failed: {body!r}")
    made = json.loads(body)["routeResponseId"]
    return f"{props['ApiId']}/{route}/{made}", {"RouteResponseId": made}


def delete_route_response(physical_id, props):
    apigateway._delete_route_response(*physical_id.split("/"))


provisioners._RESOURCE_HANDLERS["AWS::ApiGatewayV2::RouteResponse"] = {
    "create": create_route_response,
    "delete": delete_route_response,
}

# Emulator: CloudFormation in ministack lets an update drop or change an export that another stack imports. AWS refuses it, and
# rolls the update back.
resolve_any_outputs = stacks._resolve_stack_outputs


def importers(export, stack_name):
    return [
        name
        for name, stack in cloudformation._stacks.items()
        if name != stack_name
        and not stack.get("StackStatus", "").startswith("DELETE")
        and export in handlers._imported_export_names(stack, name)
    ]


def resolve_stack_outputs(outputs, conditions, resources, params, mappings, stack_name, stack_id):
    resolved, exports = resolve_any_outputs(outputs, conditions, resources, params, mappings, stack_name, stack_id)
    for name, export in list(cloudformation._exports.items()):
        if export["StackId"] != stack_id or exports.get(name, {}).get("Value") == export["Value"]:
            continue
        verb = "update" if name in exports else "delete"
        if users := importers(name, stack_name):
            raise ValueError(f"Cannot {verb} export {name} as it is in use by {', '.join(users)}")
        del cloudformation._exports[name]
    return resolved, exports


stacks._resolve_stack_outputs = resolve_stack_outputs

# Emulator: of an API made by CloudFormation, ministack does not find what it says about other origins: it looks for
# `allowOrigins`, and is given `AllowOrigins`.
for name in ("_cors_response_headers", "_cors_preflight_response"):
    answer = getattr(apigateway, name)
    setattr(apigateway, name, lambda cors, origin, answer=answer: answer(provisioners._pascal_to_camel(cors), origin))

# Emulator: CloudFormation in ministack makes buckets without their tags. By one, the function that empties a bucket which is
# about to be deleted knows that it may.
def tagging(tags):
    pairs = "".join(f"<Tag><Key>{escape(tag['Key'])}</Key><Value>{escape(tag['Value'])}</Value></Tag>" for tag in tags)
    return f"<Tagging><TagSet>{pairs}</TagSet></Tagging>".encode()


provisioners._S3_BUCKET_CONFIGURATIONS += (("Tags", tagging, s3._put_bucket_tagging, s3._delete_bucket_tagging),)

# Emulator: functions post to connections under the name that an API has in AWS, as they should; ministack knows it by another.
app._EXECUTE_API_RE = re.compile(r"^([a-f0-9]{8})\.execute-api\.[a-z0-9-]+\.amazonaws\.com(?::\d+)?$")

# Emulator: a schedule of the default group is what ministack takes every schedule for when it looks at policies.
take_for_default_group = iam_actions.extract_resource_arn


def extract_resource_arn(service, method, path, headers, body, query_params, region, account_id):
    arn = take_for_default_group(service, method, path, headers, body, query_params, region, account_id)
    if service != "scheduler" or ":schedule/default/" not in arn:
        return arn
    given = query_params.get("groupName") or (json.loads(body).get("GroupName") if body else None) or "default"
    group = given[0] if isinstance(given, list) else given
    return arn.replace(":schedule/default/", f":schedule/{group}/")


iam_actions.extract_resource_arn = extract_resource_arn

# Emulator: ministack does not look at what the role of a schedule may do.
invoke_unasked = eventbridge._invoke_target


def invoke_target(target, event, rule, view=None):
    if role := target.get("RoleArn"):
        owner = role.split(":")[4]
        asked = iam_evaluator.EvalContext(role, "AssumedRole", owner, "lambda:InvokeFunction", target["Arn"], region)
        policies = iam_evaluator._gather_role_policies(role.rsplit("/", 1)[-1], owner)
        if iam_evaluator.evaluate(asked, policies).decision != "Allow":
            raise PermissionError(f"{role} may not invoke {target['Arn']}")
    invoke_unasked(target, event, rule, view)


eventbridge._invoke_target = invoke_target

# Emulator: ministack takes a user's request to be for an API of its own account, whoever has the API.
handle_in_own_account = app._handle_execute_api_request


async def handle_execute_api_request(host, path, *rest, **named):
    api, *_ = app._parse_execute_api_url(host, path) or [None]
    owner = api and apigateway._api_owner(api)
    if not owner:
        return await handle_in_own_account(host, path, *rest, **named)
    with request_scope(*owner[1:]):
        return await handle_in_own_account(host, path, *rest, **named)


app._handle_execute_api_request = handle_execute_api_request

# It would also serve on port 443 where it may.
app._port_is_bindable = lambda host, port: False

sys.argv[1:] = []
app.main()
