# What needs somebody. Each alarm looks at five minutes at a time, at `periods` of them.

locals {
  daswatch_alarms = {
    dead-letters            = { service = "ingest", metric = "DeadLetters", periods = 1, text = "Records can never be indexed; they are in the dead-letter bucket, and das-dead-letters says why" }
    delivered-again         = { service = "ingest", metric = "RecordsToDeliverAgain", periods = 3, text = "For 15 minutes OpenSearch, KMS, S3 or Firehose has not taken all records, which wait for up to 23 hours; the log of ingest names the cause" } # it answers such a batch, it does not fail: Lambda's own errors would not tell
    pulses-unwritten        = { service = "ingest", metric = "PulsesUnwritten", periods = 3, text = "For 15 minutes pulses have not been written, so das-silent is blind; the log of ingest names the cause" }
    malformed-notifications = { service = "findings", metric = "MalformedNotifications", periods = 1, text = "A monitor notifies in a form that cannot be read; see Your own monitors in docs/detections.md" }
    detections-fail         = { service = "findings", metric = "FailingDetections", periods = 3, text = "For 15 minutes saved queries cannot be run; the log of findings names them" }
  }
  security_hub_alarms = {
    findings-unsent  = { service = "findings", metric = "FindingsUnsent", periods = 3, text = "For 15 minutes Security Hub has not taken findings; the log of findings says why" }
    findings-refused = { service = "findings", metric = "FindingsRefused", periods = 1, text = "Security Hub refuses a finding for good; the log of findings says why" }
  }
  transform_alarms = {
    records-given-back        = { service = "firehose", metric = "RecordsFailed", periods = 1, text = "Records did not become events for Splunk; they are below splunk/ in the dead-letter bucket" }
    records-without-room      = { service = "firehose", metric = "RecordsWithoutRoom", periods = 1, text = "Events did not fit into the answer to Firehose; lower BufferSizeInMBs (docs/firehose.md)" }
    batches-transformed-again = { service = "firehose", metric = "BatchesToDeliverAgain", periods = 1, text = "KMS does not serve the transformation; what Firehose gives up is below splunk/ in the dead-letter bucket" }
  }

  function_names = {
    ingest    = aws_lambda_function.ingest.function_name
    findings  = aws_lambda_function.findings.function_name
    notified  = aws_lambda_function.notified.function_name
    setup     = aws_lambda_function.setup.function_name
    transform = one(aws_lambda_function.transform[*].function_name)
  }
  lambda_alarms = {
    ingest-fails             = { function = "ingest", metric = "Errors", periods = 1, text = "The ingest function fails before it looks at records; its log says which setting is wrong" }
    ingest-throttled         = { function = "ingest", metric = "Throttles", periods = 3, text = "Lambda has no room for the ingest function; the account's concurrency is used up" }
    findings-fails           = { function = "findings", metric = "Errors", periods = 3, text = "The saved queries have failed for 15 minutes; the log of findings says why" } # one run that fails is made good by the next
    findings-throttled       = { function = "findings", metric = "Throttles", periods = 3, text = "Lambda has no room for the saved queries; the account's concurrency is used up" }
    findings-stands          = { function = "findings", metric = "Invocations", periods = 3, text = "The saved queries have not run for 15 minutes" }
    notified-fails           = { function = "notified", metric = "Errors", periods = 1, text = "A notification or a call against a stream was not taken; Lambda tries twice more" }
    notified-throttled       = { function = "notified", metric = "Throttles", periods = 3, text = "Lambda has no room for notifications; the account's concurrency is used up" }
    destination-fails        = { function = "notified", metric = "DestinationDeliveryFailures", periods = 1, text = "What Lambda gave up of notifications did not reach the dead-letter bucket, and is lost" }
    ingest-destination-fails = { function = "ingest", metric = "DestinationDeliveryFailures", periods = 1, text = "What Lambda gave up of records did not reach the dead-letter bucket; they are still in the evidence" }
    transform-fails          = { function = "transform", metric = "Errors", periods = 1, text = "The transformation fails; what Firehose gives up is below splunk/ in the dead-letter bucket" }
    setup-fails              = { function = "setup", metric = "Errors", periods = 1, text = "The setup function fails; its log says why" }
    setup-throttled          = { function = "setup", metric = "Throttles", periods = 3, text = "Lambda has no room for the setup function; the account's concurrency is used up" }
  }

  # Of a function or a service that is not there, no alarm either.
  own_metric_alarms = merge(
    local.daswatch_alarms,
    { for name, one in local.security_hub_alarms : name => one if var.security_hub },
    { for name, one in local.transform_alarms : name => one if local.to_splunk },
  )
  function_alarms = { for name, one in local.lambda_alarms : name => one if one.function != "transform" || local.to_splunk }
}

# What the functions tell of themselves.
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

# What Lambda tells of them. Only that the saved queries run is expected all the time.
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

resource "aws_cloudwatch_metric_alarm" "notified_gave_up" {
  alarm_name          = "${var.name}-notified-gave-up"
  alarm_description   = "Lambda gave up notifications; they are below aws/lambda/ in the dead-letter bucket"
  namespace           = "AWS/Lambda"
  metric_name         = "AsyncEventsDropped" # after they went to the bucket
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

resource "aws_cloudwatch_metric_alarm" "rows_late" {
  count = var.rows_to_s3 ? 1 : 0

  alarm_name          = "${var.name}-rows-late"
  alarm_description   = "Rows have not reached S3 for an hour"
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

# Of each database

resource "aws_cloudwatch_metric_alarm" "behind" {
  for_each = local.databases

  alarm_name          = "${var.name}-behind-${each.key}"
  alarm_description   = "Consumers of the activity stream of ${each.value.identifier} are more than 15 minutes behind"
  namespace           = "AWS/Kinesis"
  metric_name         = "GetRecords.IteratorAgeMilliseconds"
  dimensions          = { StreamName = local.streams[each.key].KinesisStreamName }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 900000
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching" # nobody reads: that is what the alarm unread is for
  alarm_actions       = [aws_sns_topic.alerts.arn]
  ok_actions          = [aws_sns_topic.alerts.arn]
}

resource "aws_cloudwatch_metric_alarm" "far_behind" {
  for_each = local.databases

  alarm_name          = "${var.name}-far-behind-${each.key}"
  alarm_description   = "Consumers of the activity stream of ${each.value.identifier} are 6 hours behind. At 23 hours Lambda moves records to the dead-letter bucket, at 24 hours Kinesis drops them"
  namespace           = "AWS/Kinesis"
  metric_name         = "GetRecords.IteratorAgeMilliseconds"
  dimensions          = { StreamName = local.streams[each.key].KinesisStreamName }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 21600000
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching" # nobody reads: that is what the alarm unread is for
  alarm_actions       = [aws_sns_topic.alerts.arn]
  ok_actions          = [aws_sns_topic.alerts.arn]
}

# A database that does nothing still sends heartbeats.
resource "aws_cloudwatch_metric_alarm" "silent" {
  for_each = local.databases

  alarm_name          = "${var.name}-silent-${each.key}"
  alarm_description   = "The activity stream of ${each.value.identifier} got no record for 15 minutes, not even a heartbeat"
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

# Of the mapping itself: somebody else who reads the stream, such as the evidence, does not hide that it stands.
resource "aws_cloudwatch_metric_alarm" "unread" {
  for_each = local.databases

  alarm_name          = "${var.name}-unread-${each.key}"
  alarm_description   = "Lambda took nothing from the activity stream of ${each.value.identifier} for 15 minutes"
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

# An outage gives up hundreds of objects an hour: one alarm, until an hour has passed without any.
resource "aws_cloudwatch_metric_alarm" "gave_up" {
  for_each = local.databases

  alarm_name          = "${var.name}-gave-up-${each.key}"
  alarm_description   = "Lambda gave up records of the activity stream of ${each.value.identifier}; they are below aws/lambda/ in the dead-letter bucket"
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

resource "aws_cloudwatch_metric_alarm" "evidence_late" {
  for_each = local.databases

  alarm_name          = "${var.name}-evidence-${each.key}"
  alarm_description   = "The evidence of ${each.value.identifier} has not reached S3 for an hour"
  namespace           = "AWS/Firehose"
  metric_name         = "DeliveryToS3.DataFreshness"
  dimensions          = { DeliveryStreamName = aws_kinesis_firehose_delivery_stream.evidence[each.key].name }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 3
  threshold           = 3600
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "breaching" # heartbeats always come
  alarm_actions       = [aws_sns_topic.alerts.arn]
  ok_actions          = [aws_sns_topic.alerts.arn]
}

resource "aws_cloudwatch_metric_alarm" "splunk_late" {
  for_each = local.splunk_of

  alarm_name          = "${var.name}-splunk-${each.key}"
  alarm_description   = "Events of ${each.value.identifier} have not reached Splunk for an hour"
  namespace           = "AWS/Firehose"
  metric_name         = "DeliveryToSplunk.DataFreshness"
  dimensions          = { DeliveryStreamName = aws_kinesis_firehose_delivery_stream.splunk[each.key].name }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 3
  threshold           = 3600
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching" # heartbeats are noise, and noise is not delivered
  alarm_actions       = [aws_sns_topic.alerts.arn]
  ok_actions          = [aws_sns_topic.alerts.arn]
}
