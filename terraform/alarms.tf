# Alarms. Each evaluates `periods` periods of five minutes.

locals {
  daswatch_alarms = {
    dead-letters            = { service = "ingest", metric = "DeadLetters", periods = 1, text = "Records cannot be indexed and are in the dead-letter bucket; das-dead-letters has the reasons" }
    delivered-again         = { service = "ingest", metric = "RecordsToDeliverAgain", periods = 3, text = "For 15 minutes OpenSearch, KMS, S3 or Firehose has not accepted all records, which are retried for up to 23 hours; the log of the ingest function has the cause" } # such a batch is a partial failure, which Lambda does not count as an error
    pulses-unwritten        = { service = "ingest", metric = "PulsesUnwritten", periods = 3, text = "Pulses have not been written for 15 minutes, so das-silent cannot detect silent instances; the log of the ingest function has the cause" }
    malformed-notifications = { service = "findings", metric = "MalformedNotifications", periods = 1, text = "A monitor sends notifications with an invalid message; see Your own monitors in docs/detections.md" }
    failing-detections      = { service = "findings", metric = "FailingDetections", periods = 3, text = "Saved queries have failed for 15 minutes; the log of the findings function lists them" }
  }
  security_hub_alarms = {
    findings-unsent  = { service = "findings", metric = "FindingsUnsent", periods = 3, text = "Security Hub has not accepted findings for 15 minutes; the log of the findings function has the cause" }
    findings-refused = { service = "findings", metric = "FindingsRefused", periods = 1, text = "Security Hub rejected a finding permanently; the log of the findings function has the reason" }
  }
  transform_alarms = {
    records-failed            = { service = "firehose", metric = "RecordsFailed", periods = 1, text = "Records could not be transformed for Splunk; they are in the dead-letter bucket under splunk/" }
    records-without-room      = { service = "firehose", metric = "RecordsWithoutRoom", periods = 1, text = "The response to Firehose exceeded 6 MB; lower BufferSizeInMBs (docs/firehose.md)" }
    batches-transformed-again = { service = "firehose", metric = "BatchesToDeliverAgain", periods = 1, text = "The transformation cannot use KMS; records that Firehose stops retrying are in the dead-letter bucket under splunk/" }
  }

  function_names = {
    ingest    = aws_lambda_function.ingest.function_name
    findings  = aws_lambda_function.findings.function_name
    notified  = aws_lambda_function.notified.function_name
    setup     = aws_lambda_function.setup.function_name
    transform = one(aws_lambda_function.transform[*].function_name)
  }
  lambda_alarms = {
    ingest-errors                 = { function = "ingest", metric = "Errors", periods = 1, text = "The ingest function fails at startup; its log names the invalid setting" }
    ingest-throttled              = { function = "ingest", metric = "Throttles", periods = 3, text = "The ingest function has been throttled for 15 minutes: the account's concurrency is exhausted" }
    ingest-destination-failures   = { function = "ingest", metric = "DestinationDeliveryFailures", periods = 1, text = "Lambda could not deliver failed records to the dead-letter bucket; they are still in the evidence" }
    findings-errors               = { function = "findings", metric = "Errors", periods = 3, text = "The findings function has failed for 15 minutes; its log has the cause" } # a failed run is covered by the next one
    findings-throttled            = { function = "findings", metric = "Throttles", periods = 3, text = "The findings function has been throttled for 15 minutes: the account's concurrency is exhausted" }
    saved-queries-stopped         = { function = "findings", metric = "Invocations", periods = 3, text = "The saved queries have not run for 15 minutes" }
    notified-errors               = { function = "notified", metric = "Errors", periods = 1, text = "A notification or an AWS API call on a stream could not be processed; Lambda retries twice" }
    notified-throttled            = { function = "notified", metric = "Throttles", periods = 3, text = "The notified function has been throttled for 15 minutes: the account's concurrency is exhausted" }
    notified-destination-failures = { function = "notified", metric = "DestinationDeliveryFailures", periods = 1, text = "Lambda could not deliver failed notifications to the dead-letter bucket; they are lost" }
    transform-errors              = { function = "transform", metric = "Errors", periods = 1, text = "The transformation fails; records that Firehose stops retrying are in the dead-letter bucket under splunk/" }
    setup-errors                  = { function = "setup", metric = "Errors", periods = 1, text = "The setup function fails; its log has the cause" }
    setup-throttled               = { function = "setup", metric = "Throttles", periods = 3, text = "The setup function has been throttled for 15 minutes: the account's concurrency is exhausted" }
  }

  # Only for functions and services that are deployed.
  own_metric_alarms = merge(
    local.daswatch_alarms,
    { for name, one in local.security_hub_alarms : name => one if var.security_hub },
    { for name, one in local.transform_alarms : name => one if local.to_splunk },
  )
  function_alarms = { for name, one in local.lambda_alarms : name => one if one.function != "transform" || local.to_splunk }
}

# On metrics of the functions.
resource "aws_cloudwatch_metric_alarm" "own" {
  for_each = local.own_metric_alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.text
  namespace           = "Daswatch"
  metric_name         = each.value.metric
  dimensions          = { service = each.value.service }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = each.value.periods
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alerts.arn]
  ok_actions          = [aws_sns_topic.alerts.arn]
}

# On metrics of Lambda. Only the saved queries are expected to run all the time.
resource "aws_cloudwatch_metric_alarm" "function" {
  for_each = local.function_alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.text
  namespace           = "AWS/Lambda"
  metric_name         = each.value.metric
  dimensions          = { FunctionName = local.function_names[each.value.function] }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = each.value.periods
  threshold           = each.value.metric == "Invocations" ? 1 : 0
  comparison_operator = each.value.metric == "Invocations" ? "LessThanThreshold" : "GreaterThanThreshold"
  treat_missing_data  = each.value.metric == "Invocations" ? "breaching" : "notBreaching"
  alarm_actions       = [aws_sns_topic.alerts.arn]
  ok_actions          = [aws_sns_topic.alerts.arn]
}

resource "aws_cloudwatch_metric_alarm" "notified_retries_exhausted" {
  alarm_name          = "${var.name}-notified-retries-exhausted"
  alarm_description   = "Lambda moved notifications to the dead-letter bucket (aws/lambda/) after their retries were exhausted"
  namespace           = "AWS/Lambda"
  metric_name         = "AsyncEventsDropped" # counted after delivery to the bucket
  dimensions          = { FunctionName = local.function_names.notified }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 12
  datapoints_to_alarm = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alerts.arn]
  ok_actions          = [aws_sns_topic.alerts.arn]
}

resource "aws_cloudwatch_metric_alarm" "rows_delayed" {
  count = var.rows_to_s3 ? 1 : 0

  alarm_name          = "${var.name}-rows-delayed"
  alarm_description   = "Rows have not been delivered to S3 for an hour"
  namespace           = "AWS/Firehose"
  metric_name         = "DeliveryToS3.DataFreshness"
  dimensions          = { DeliveryStreamName = one(aws_kinesis_firehose_delivery_stream.rows[*].name) }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 3
  threshold           = 3600
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alerts.arn]
  ok_actions          = [aws_sns_topic.alerts.arn]
}

# Per database

resource "aws_cloudwatch_metric_alarm" "consumer_lag" {
  for_each = local.databases

  alarm_name          = "${var.name}-consumer-lag-${each.key}"
  alarm_description   = "Consumers of the ${each.value.identifier} activity stream are more than 15 minutes behind"
  namespace           = "AWS/Kinesis"
  metric_name         = "GetRecords.IteratorAgeMilliseconds"
  dimensions          = { StreamName = local.streams[each.key].KinesisStreamName }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 900000
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching" # without consumers: not_consumed
  alarm_actions       = [aws_sns_topic.alerts.arn]
  ok_actions          = [aws_sns_topic.alerts.arn]
}

resource "aws_cloudwatch_metric_alarm" "consumer_lag_critical" {
  for_each = local.databases

  alarm_name          = "${var.name}-consumer-lag-critical-${each.key}"
  alarm_description   = "Consumers of the ${each.value.identifier} activity stream are 6 hours behind. After 23 hours Lambda moves records to the dead-letter bucket; after 24 hours Kinesis drops them"
  namespace           = "AWS/Kinesis"
  metric_name         = "GetRecords.IteratorAgeMilliseconds"
  dimensions          = { StreamName = local.streams[each.key].KinesisStreamName }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 21600000
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching" # without consumers: not_consumed
  alarm_actions       = [aws_sns_topic.alerts.arn]
  ok_actions          = [aws_sns_topic.alerts.arn]
}

# Idle databases still send heartbeats.
resource "aws_cloudwatch_metric_alarm" "silent" {
  for_each = local.databases

  alarm_name          = "${var.name}-silent-${each.key}"
  alarm_description   = "The ${each.value.identifier} activity stream has received no records or heartbeats for 15 minutes"
  namespace           = "AWS/Kinesis"
  metric_name         = "IncomingRecords"
  dimensions          = { StreamName = local.streams[each.key].KinesisStreamName }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 3
  threshold           = 1
  comparison_operator = "LessThanThreshold"
  treat_missing_data  = "breaching"
  alarm_actions       = [aws_sns_topic.alerts.arn]
  ok_actions          = [aws_sns_topic.alerts.arn]
}

# Metric of the mapping, so other consumers of the stream, such as the evidence, do not hide that it stopped.
resource "aws_cloudwatch_metric_alarm" "not_consumed" {
  for_each = local.databases

  alarm_name          = "${var.name}-not-consumed-${each.key}"
  alarm_description   = "Lambda has read no records of the ${each.value.identifier} activity stream for 15 minutes"
  namespace           = "AWS/Lambda"
  metric_name         = "PolledEventCount"
  dimensions          = { EventSourceMappingUUID = aws_lambda_event_source_mapping.stream[each.key].uuid }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 3
  threshold           = 1
  comparison_operator = "LessThanThreshold"
  treat_missing_data  = "breaching"
  alarm_actions       = [aws_sns_topic.alerts.arn]
  ok_actions          = [aws_sns_topic.alerts.arn]
}

# An outage creates hundreds of objects an hour: one alarm, until an hour has passed without any.
resource "aws_cloudwatch_metric_alarm" "retries_exhausted" {
  for_each = local.databases

  alarm_name          = "${var.name}-retries-exhausted-${each.key}"
  alarm_description   = "Lambda moved records of the ${each.value.identifier} activity stream to the dead-letter bucket (aws/lambda/) after their retries were exhausted"
  namespace           = "AWS/Lambda"
  metric_name         = "OnFailureDestinationDeliveredEventCount"
  dimensions          = { EventSourceMappingUUID = aws_lambda_event_source_mapping.stream[each.key].uuid }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 12
  datapoints_to_alarm = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alerts.arn]
  ok_actions          = [aws_sns_topic.alerts.arn]
}

resource "aws_cloudwatch_metric_alarm" "evidence_delayed" {
  for_each = local.databases

  alarm_name          = "${var.name}-evidence-delayed-${each.key}"
  alarm_description   = "The evidence of ${each.value.identifier} has not been delivered to S3 for an hour"
  namespace           = "AWS/Firehose"
  metric_name         = "DeliveryToS3.DataFreshness"
  dimensions          = { DeliveryStreamName = aws_kinesis_firehose_delivery_stream.evidence[each.key].name }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 3
  threshold           = 3600
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "breaching" # heartbeats always arrive
  alarm_actions       = [aws_sns_topic.alerts.arn]
  ok_actions          = [aws_sns_topic.alerts.arn]
}

resource "aws_cloudwatch_metric_alarm" "splunk_delayed" {
  for_each = local.splunk_of

  alarm_name          = "${var.name}-splunk-delayed-${each.key}"
  alarm_description   = "Events of ${each.value.identifier} have not been delivered to Splunk for an hour"
  namespace           = "AWS/Firehose"
  metric_name         = "DeliveryToSplunk.DataFreshness"
  dimensions          = { DeliveryStreamName = aws_kinesis_firehose_delivery_stream.splunk[each.key].name }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 3
  threshold           = 3600
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching" # heartbeats are noise and are not delivered
  alarm_actions       = [aws_sns_topic.alerts.arn]
  ok_actions          = [aws_sns_topic.alerts.arn]
}
