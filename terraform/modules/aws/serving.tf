# The role of served models: they read the bucket, and write nothing.

resource "aws_iam_role" "serving" {
  name               = "${var.name}-serving"
  description        = "What the container behind an endpoint may do"
  assume_role_policy = data.aws_iam_policy_document.sagemaker.json
  tags               = local.tags
}

resource "aws_iam_role_policy" "serving" {
  name   = "endpoint"
  role   = aws_iam_role.serving.id
  policy = data.aws_iam_policy_document.serving.json
}

data "aws_iam_policy_document" "serving" {
  source_policy_documents = [data.aws_iam_policy_document.container.json]

  statement {
    sid       = "Bucket"
    actions   = ["s3:GetBucketLocation"]
    resources = [aws_s3_bucket.this.arn]
  }

  statement {
    sid       = "Keys"
    actions   = ["s3:ListBucket"]
    resources = [aws_s3_bucket.this.arn]
    condition {
      test     = "StringLike"
      variable = "s3:prefix"
      values   = [var.prefix, "${var.prefix}/*"]
    }
  }

  statement {
    sid       = "Models"
    actions   = ["s3:GetObject"]
    resources = ["${aws_s3_bucket.this.arn}/${var.prefix}/*"]
  }

  # Asynchronous endpoints leave their answers there.
  statement {
    sid       = "Answers"
    actions   = ["s3:PutObject"]
    resources = ["${aws_s3_bucket.this.arn}/${var.prefix}/answers/*"]
  }

  statement {
    sid       = "Key"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [aws_kms_key.this.arn]
  }
}
