# The schedule, and tampering. CloudTrail sends calls to EventBridge only if a trail records management events. The saved
# query das-tamper-control-plane decides what becomes an alert; the most severe calls are also sent to the alert topic
# directly, in case OpenSearch or the findings function was disabled.

locals {
  call_paths = { what = "$.detail.eventName", who = "$.detail.userIdentity.arn", from = "$.detail.sourceIPAddress" }

  # Lambda's event names include the API version. A mapping is identified by a UUID, so it is matched by the stream that
  # it reads, which a denied call does not include.
  component_changes = [
    {
      eventName        = [{ prefix = "DeleteEventSourceMapping" }, { prefix = "UpdateEventSourceMapping" }]
      responseElements = { eventSourceArn = [{ wildcard = "*:stream/aws-rds-das-*" }] }
    },
    {
      eventName = [
        { prefix = "DeleteFunction20" },
        { prefix = "UpdateFunctionCode" },
        { prefix = "UpdateFunctionConfiguration" },
        { prefix = "PutFunctionConcurrency" },
      ]
      requestParameters = { functionName = [{ wildcard = "*${var.name}-*" }] }
    },
    { eventName = ["DeleteRule", "DisableRule"], requestParameters = { name = [{ prefix = "${var.name}-" }] } },
    { eventName = ["RemoveTargets"], requestParameters = { rule = [{ prefix = "${var.name}-" }] } },
  ]
}

resource "aws_cloudwatch_event_rule" "each_minute" {
  name                = "${var.name}-each-minute"
  description         = "Runs the saved queries"
  schedule_expression = "rate(1 minute)"
}

resource "aws_cloudwatch_event_target" "each_minute" {
  rule      = aws_cloudwatch_event_rule.each_minute.name
  target_id = "findings"
  arn       = aws_lambda_function.findings.arn
}

resource "aws_lambda_permission" "each_minute" {
  function_name = aws_lambda_function.findings.function_name
  action        = "lambda:InvokeFunction"
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.each_minute.arn
}

resource "aws_cloudwatch_event_rule" "stream" {
  name        = "${var.name}-stream"
  description = "An activity stream was stopped or modified"
  event_pattern = jsonencode({
    source      = ["aws.rds", "aws.kinesis"]
    detail-type = ["AWS API Call via CloudTrail"]
    detail = {
      "$or" = [
        { eventName = ["StopActivityStream", "ModifyActivityStream"] },
        {
          eventName         = ["DeleteStream", "StartStreamEncryption"]
          requestParameters = { streamName = [{ prefix = "aws-rds-das-" }] }
        },
        {
          eventName         = ["DeleteStream", "StartStreamEncryption"]
          requestParameters = { streamARN = [{ wildcard = "*:stream/aws-rds-das-*" }] }
        },
      ]
    }
  })
}

resource "aws_cloudwatch_event_target" "stream" {
  rule      = aws_cloudwatch_event_rule.stream.name
  target_id = "findings"
  arn       = aws_lambda_function.notified.arn
}

resource "aws_cloudwatch_event_target" "stream_people" {
  rule      = aws_cloudwatch_event_rule.stream.name
  target_id = "people"
  arn       = aws_sns_topic.alerts.arn

  input_transformer {
    input_paths    = local.call_paths
    input_template = "\"<what> on an activity stream by <who> from <from>. Stopping a stream deletes its unread records.\""
  }
}

resource "aws_lambda_permission" "stream" {
  function_name = aws_lambda_function.notified.function_name
  action        = "lambda:InvokeFunction"
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.stream.arn
}

# The key of a stream, which differs from the module's key if the stream existed before.
resource "aws_cloudwatch_event_rule" "key" {
  for_each = local.databases

  name        = "${var.name}-key-${each.key}"
  description = "The KMS key of the ${each.value.identifier} activity stream was disabled, scheduled for deletion or given another policy"
  event_pattern = jsonencode({
    source      = ["aws.kms"]
    detail-type = ["AWS API Call via CloudTrail"]
    detail = {
      eventSource = ["kms.amazonaws.com"]
      eventName = [
        "DeleteImportedKeyMaterial",
        "DisableKey",
        "PutKeyPolicy",
        "RetireGrant",
        "RevokeGrant",
        "ScheduleKeyDeletion",
      ]
      resources = { ARN = [local.streams[each.key].KmsKeyArn] }
    }
  })
}

resource "aws_cloudwatch_event_target" "key" {
  for_each = local.databases

  rule      = aws_cloudwatch_event_rule.key[each.key].name
  target_id = "findings"
  arn       = aws_lambda_function.notified.arn
}

resource "aws_cloudwatch_event_target" "key_people" {
  for_each = local.databases

  rule      = aws_cloudwatch_event_rule.key[each.key].name
  target_id = "people"
  arn       = aws_sns_topic.alerts.arn

  input_transformer {
    input_paths    = local.call_paths
    input_template = "\"<what> on the KMS key of the ${each.value.identifier} activity stream by <who> from <from>. Records cannot be decrypted without it.\""
  }
}

resource "aws_lambda_permission" "key" {
  for_each = local.databases

  function_name = aws_lambda_function.notified.function_name
  action        = "lambda:InvokeFunction"
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.key[each.key].arn
}

resource "aws_cloudwatch_event_rule" "components" {
  name        = "${var.name}-components"
  description = "A component of Daswatch was changed or deleted"
  event_pattern = jsonencode({
    source      = ["aws.lambda", "aws.events"]
    detail-type = ["AWS API Call via CloudTrail"]
    detail      = { "$or" = local.component_changes }
  })
}

resource "aws_cloudwatch_event_target" "components" {
  rule      = aws_cloudwatch_event_rule.components.name
  target_id = "findings"
  arn       = aws_lambda_function.notified.arn
}

resource "aws_lambda_permission" "components" {
  function_name = aws_lambda_function.notified.function_name
  action        = "lambda:InvokeFunction"
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.components.arn
}

# The same directly to the alert topic, in case the findings function was deleted. Calls of Terraform cannot be
# distinguished from other calls of the same principal: an apply that changes components is reported too.
resource "aws_cloudwatch_event_rule" "manual_changes" {
  name        = "${var.name}-manual-changes"
  description = "A component of Daswatch was changed or deleted, not by CloudFormation"
  event_pattern = jsonencode({
    source      = ["aws.lambda", "aws.events"]
    detail-type = ["AWS API Call via CloudTrail"]
    detail = {
      sourceIPAddress = [{ anything-but = "cloudformation.amazonaws.com" }]
      "$or"           = local.component_changes
    }
  })
}

resource "aws_cloudwatch_event_target" "manual_changes_people" {
  rule      = aws_cloudwatch_event_rule.manual_changes.name
  target_id = "people"
  arn       = aws_sns_topic.alerts.arn

  input_transformer {
    input_paths    = local.call_paths
    input_template = "\"<what> on a component of Daswatch by <who> from <from>, not by CloudFormation. Compare with your applies of Terraform.\""
  }
}
