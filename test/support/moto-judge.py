"""What moto makes of IAM policies: reads a JSON list of { policy, action, resource }, and prints a list of { valid, permitted }."""

import json
import sys

from moto.iam.access_control import IAMPolicy, PermissionResult
from moto.iam.exceptions import MalformedPolicyDocument
from moto.iam.policy_validation import IAMPolicyDocumentValidator


def judge(policy: str, action: str, resource: str) -> dict:
    try:
        IAMPolicyDocumentValidator(policy).validate()
    except MalformedPolicyDocument as error:
        return {"valid": False, "why": error.message, "permitted": False}
    result = IAMPolicy(policy).is_action_permitted(action, resource)
    return {"valid": True, "permitted": result == PermissionResult.PERMITTED}


questions = json.load(sys.stdin)
json.dump([judge(q["policy"], q["action"], q["resource"]) for q in questions], sys.stdout)
