# The schedule, and who tampers with the watch. CloudTrail tells EventBridge of calls only where a trail records
# management events. The saved query das-tamper-control-plane decides what is an alert; people get the gravest at once,
# even when OpenSearch or the findings function is what somebody has switched off.

locals {
  who_did_what = { what = "$.detail.eventName", who = "$.detail.userIdentity.arn", from = "$.detail.sourceIPAddress" }

  # Lambda has the version of its API in its events' names. A mapping has a UUID for a name: it is known by the stream
  # that it reads, which a call that was denied does not tell.
  own_parts_changed = [
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
  description = "Somebody stops or changes an activity stream"
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
    input_paths    = local.who_did_what
    input_template = "\"<what> on an activity stream, by <who> from <from>. With a stream that stops, what nobody had read is gone.\""
  }
}

resource "aws_lambda_permission" "stream" {
  function_name = aws_lambda_function.notified.function_name
  action        = "lambda:InvokeFunction"
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.stream.arn
}

# The key that a stream encrypts with: where the stream was there before, it may be another than the module's.
resource "aws_cloudwatch_event_rule" "key" {
  for_each = local.databases

  name        = "${var.name}-key-${each.key}"
  description = "Somebody takes the KMS key of the activity stream of ${each.value.identifier} away"
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
    input_paths    = local.who_did_what
    input_template = "\"<what> on the KMS key of the activity stream of ${each.value.identifier}, by <who> from <from>. Without it nothing is read.\""
  }
}

resource "aws_lambda_permission" "key" {
  for_each = local.databases

  function_name = aws_lambda_function.notified.function_name
  action        = "lambda:InvokeFunction"
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.key[each.key].arn
}

resource "aws_cloudwatch_event_rule" "own_parts" {
  name        = "${var.name}-own-parts"
  description = "Somebody changes what reads the activity streams"
  event_pattern = jsonencode({
    source      = ["aws.lambda", "aws.events"]
    detail-type = ["AWS API Call via CloudTrail"]
    detail      = { "$or" = local.own_parts_changed }
  })
}

resource "aws_cloudwatch_event_target" "own_parts" {
  rule      = aws_cloudwatch_event_rule.own_parts.name
  target_id = "findings"
  arn       = aws_lambda_function.notified.arn
}

resource "aws_lambda_permission" "own_parts" {
  function_name = aws_lambda_function.notified.function_name
  action        = "lambda:InvokeFunction"
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.own_parts.arn
}

# The same, straight to people: it may be the findings function that is gone. Terraform calls AWS as whoever runs it,
# which no pattern could tell from somebody's hand: an apply that changes these parts tells people too.
resource "aws_cloudwatch_event_rule" "by_hand" {
  name        = "${var.name}-by-hand"
  description = "Somebody changes what reads the activity streams, and not with CloudFormation"
  event_pattern = jsonencode({
    source      = ["aws.lambda", "aws.events"]
    detail-type = ["AWS API Call via CloudTrail"]
    detail = {
      sourceIPAddress = [{ anything-but = "cloudformation.amazonaws.com" }]
      "$or"           = local.own_parts_changed
    }
  })
}

resource "aws_cloudwatch_event_target" "by_hand_people" {
  rule      = aws_cloudwatch_event_rule.by_hand.name
  target_id = "people"
  arn       = aws_sns_topic.alerts.arn

  input_transformer {
    input_paths    = local.who_did_what
    input_template = "\"<what> on a part of Daswatch, by <who> from <from>, and not with CloudFormation. An apply of yours, or not?\""
  }
}
