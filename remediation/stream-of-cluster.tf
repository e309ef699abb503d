
$effects
resource "aws_rds_cluster_activity_stream" "$label" {
  provider     = aws.$label
  resource_arn = $arn
  mode         = $mode
  kms_key_id   = $key
}
