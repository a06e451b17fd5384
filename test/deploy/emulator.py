"""Starts ministack, an AWS emulator, with patches for features it lacks. Arguments: port, account, region, directory.

Writes its certificate to <directory>/certificate.pem, and all other files below the same directory. Ends, together with its functions,
when its standard input ends. So it also ends if the process that started it is killed.
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
    """Writes a self-signed certificate. The emulator needs TLS, because the bucket policies reject requests without it."""
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
# As in Lambda, functions can import the AWS SDK without bundling it. The functions of the CDK need it.
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
        # Checks the signature of each request and the permissions of its role.
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

# Emulator: ministack ignores dynamodb:LeadingKeys, an IAM condition key. This list has the partition keys of the current request.
# For a query of an index, it has the index's key. For a transaction, it has the keys of all items with the same action.
# One list is enough, because policies are evaluated immediately after it is set.
leading_keys = []


def keys_of(request):
    if "KeyConditionExpression" in request:
        value = re.search(r"PK\s*=\s*(:\w+)", request["KeyConditionExpression"]).group(1)
        return [request["ExpressionAttributeValues"][value]["S"]]
    keys = [request[part] for part in ("Key", "Item") if part in request]
    for table in request.get("RequestItems", {}).values():
        # BatchGetItem has a list of keys, and BatchWriteItem a list of requests.
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

# Emulator: ministack's CloudFormation rejects alarms with several metrics. This patch creates them, but they are never evaluated.
record_of_one_metric = provisioners._cw_metric_alarm_record


def metric_alarm_record(name, props):
    if not props.get("Metrics"):
        return record_of_one_metric(name, props)
    of_one = {**props, "Metrics": None, "MetricName": "several", "Namespace": "several"}
    return {**record_of_one_metric(name, of_one), "MetricName": None, "Namespace": None, "Metrics": props["Metrics"]}


provisioners._cw_metric_alarm_record = metric_alarm_record


# Emulator: ministack's CloudFormation cannot create route responses, although its API can.


def last(name):
    """Returns the route ID. ministack's CloudFormation passes `<api>/<route>`."""
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

# Emulator: ministack's CloudFormation allows an update to remove or change an export that another stack imports. AWS rejects this.
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

# Emulator: ministack ignores the CORS settings of APIs from CloudFormation, because it reads `allowOrigins` instead of `AllowOrigins`.
for name in ("_cors_response_headers", "_cors_preflight_response"):
    answer = getattr(apigateway, name)
    setattr(apigateway, name, lambda cors, origin, answer=answer: answer(provisioners._pascal_to_camel(cors), origin))

# Emulator: ministack's CloudFormation creates buckets without tags. The CDK function that empties a bucket before deletion needs a tag.
def tagging(tags):
    pairs = "".join(f"<Tag><Key>{escape(tag['Key'])}</Key><Value>{escape(tag['Value'])}</Value></Tag>" for tag in tags)
    return f"<Tagging><TagSet>{pairs}</TagSet></Tagging>".encode()


provisioners._S3_BUCKET_CONFIGURATIONS += (("Tags", tagging, s3._put_bucket_tagging, s3._delete_bucket_tagging),)

# Emulator: ministack does not recognize the AWS host names of APIs, to which functions post messages.
app._EXECUTE_API_RE = re.compile(r"^([a-f0-9]{8})\.execute-api\.[a-z0-9-]+\.amazonaws\.com(?::\d+)?$")

# Emulator: when it evaluates policies, ministack assumes that every schedule is in the default group.
take_for_default_group = iam_actions.extract_resource_arn


def extract_resource_arn(service, method, path, headers, body, query_params, region, account_id):
    arn = take_for_default_group(service, method, path, headers, body, query_params, region, account_id)
    if service != "scheduler" or ":schedule/default/" not in arn:
        return arn
    given = query_params.get("groupName") or (json.loads(body).get("GroupName") if body else None) or "default"
    group = given[0] if isinstance(given, list) else given
    return arn.replace(":schedule/default/", f":schedule/{group}/")


iam_actions.extract_resource_arn = extract_resource_arn

# Emulator: ministack does not check the permissions of a schedule's role.
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

# Emulator: ministack looks for an API only in the caller's account, even if another account owns it.
handle_in_own_account = app._handle_execute_api_request


async def handle_execute_api_request(host, path, *rest, **named):
    api, *_ = app._parse_execute_api_url(host, path) or [None]
    owner = api and apigateway._api_owner(api)
    if not owner:
        return await handle_in_own_account(host, path, *rest, **named)
    with request_scope(*owner[1:]):
        return await handle_in_own_account(host, path, *rest, **named)


app._handle_execute_api_request = handle_execute_api_request

# Prevents ministack from also listening on port 443.
app._port_is_bindable = lambda host, port: False

sys.argv[1:] = []
app.main()
