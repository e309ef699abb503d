# Buckets. Their names have generated suffixes, so a retained bucket does not conflict with the next one.

locals {
  buckets = {
    for name, bucket in {
      dead_letters = aws_s3_bucket.dead_letters
      evidence     = aws_s3_bucket.evidence
      rows         = one(aws_s3_bucket.rows)
    } : name => bucket if name != "rows" || var.rows_to_s3
  }
}

# dead-letters/: from the functions; aws/lambda/: records that Lambda stopped retrying; backups/: content replaced by
# setup; splunk/: events not delivered to Splunk.
resource "aws_s3_bucket" "dead_letters" {
  bucket_prefix = "${var.name}-dead-letters-"

  lifecycle {
    prevent_destroy = true
  }
}

# The evidence: unfiltered records as encrypted by RDS.
resource "aws_s3_bucket" "evidence" {
  bucket_prefix = "${var.name}-evidence-"

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket" "rows" {
  count = var.rows_to_s3 ? 1 : 0

  bucket_prefix = "${var.name}-rows-"

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "ours" {
  for_each = local.buckets

  bucket = each.value.bucket

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.data.arn
    }
  }
}

resource "aws_s3_bucket_public_access_block" "ours" {
  for_each = local.buckets

  bucket                  = each.value.bucket
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "ours" {
  for_each = local.buckets

  bucket = each.value.bucket

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_versioning" "ours" {
  for_each = local.buckets

  bucket = each.value.bucket

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_policy" "ours" {
  for_each = local.buckets

  bucket = each.value.bucket
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid       = "DenyInsecureTransport"
          Effect    = "Deny"
          Principal = "*"
          Action    = "s3:*"
          Resource  = [each.value.arn, "${each.value.arn}/*"]
          Condition = { Bool = { "aws:SecureTransport" = "false" } }
        },
      ],
      # Evidence is deleted only by expiration; to delete it earlier, change this policy first.
      [
        for statement in [
          {
            Sid       = "DenyDeletion"
            Effect    = "Deny"
            Principal = "*"
            Action    = ["s3:DeleteObject", "s3:DeleteObjectVersion"]
            Resource  = "${each.value.arn}/*"
          },
        ] : statement if each.key == "evidence"
      ],
    )
  })

  # S3 rejects policies while the public access settings are being applied.
  depends_on = [aws_s3_bucket_public_access_block.ours]
}

resource "aws_s3_bucket_lifecycle_configuration" "dead_letters" {
  bucket = aws_s3_bucket.dead_letters.bucket

  rule {
    id     = "expire"
    status = "Enabled"

    filter {}

    expiration {
      days = var.dead_letter_days
    }
    noncurrent_version_expiration {
      noncurrent_days = 30
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  depends_on = [aws_s3_bucket_versioning.ours]
}

resource "aws_s3_bucket_lifecycle_configuration" "evidence" {
  bucket = aws_s3_bucket.evidence.bucket

  # Rarely read: storage costs drop after a month.
  rule {
    id     = "cool-down-and-expire"
    status = "Enabled"

    filter {}

    transition {
      days          = 30
      storage_class = "GLACIER_IR"
    }
    expiration {
      days = var.evidence_days
    }
    noncurrent_version_expiration {
      noncurrent_days = 30
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  depends_on = [aws_s3_bucket_versioning.ours]
}

# Expiration of rows is up to you; only incomplete uploads of Firehose are removed.
resource "aws_s3_bucket_lifecycle_configuration" "rows" {
  count = var.rows_to_s3 ? 1 : 0

  bucket = one(aws_s3_bucket.rows[*].bucket)

  rule {
    id     = "tidy"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  depends_on = [aws_s3_bucket_versioning.ours]
}
