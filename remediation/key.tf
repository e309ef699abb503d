
resource "aws_kms_key" "$label" {
  provider            = aws.$label
  description         = $description
  enable_key_rotation = true

  # What was recorded cannot be read without it.
  lifecycle {
    prevent_destroy = true
  }
}

# IAM policies of the account can allow the use of the key.
resource "aws_kms_key_policy" "$label" {
  provider = aws.$label
  key_id   = aws_kms_key.$label.key_id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "EnableIamPolicies"
      Effect    = "Allow"
      Principal = { AWS = $root }
      Action    = "kms:*"
      Resource  = "*"
    }]
  })
}

resource "aws_kms_alias" "$label" {
  provider      = aws.$label
  name          = $alias
  target_key_id = aws_kms_key.$label.key_id
}
