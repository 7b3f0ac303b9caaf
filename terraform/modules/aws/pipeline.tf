# The role of a pipeline while it is executed: it starts this ground's jobs, with their roles.

resource "aws_iam_role" "pipeline" {
  name               = "${var.name}-pipeline"
  description        = "What an execution of a pipeline may do"
  assume_role_policy = data.aws_iam_policy_document.sagemaker.json
  tags               = local.tags
}

resource "aws_iam_role_policy" "pipeline" {
  name   = "pipeline"
  role   = aws_iam_role.pipeline.id
  policy = data.aws_iam_policy_document.pipeline.json
}

data "aws_iam_policy_document" "pipeline" {
  source_policy_documents = [
    data.aws_iam_policy_document.objects.json, # conditions read what steps wrote
    data.aws_iam_policy_document.jobs.json,
  ]
}

# To start, watch and stop jobs: also what a launcher may do (launch.tf), for plans of one step.
data "aws_iam_policy_document" "jobs" {
  statement {
    sid       = "Start"
    actions   = ["sagemaker:CreateProcessingJob", "sagemaker:CreateTrainingJob", "sagemaker:AddTags"]
    resources = ["${local.sagemaker}:processing-job/*", "${local.sagemaker}:training-job/*"]
    condition {
      test     = "StringEquals"
      variable = "aws:RequestTag/trefoil:ground"
      values   = [var.name]
    }
  }

  statement {
    sid = "Watch"
    actions = [
      "sagemaker:DescribeProcessingJob", "sagemaker:DescribeTrainingJob", "sagemaker:ListTags",
      "sagemaker:StopProcessingJob", "sagemaker:StopTrainingJob",
    ]
    resources = ["${local.sagemaker}:processing-job/*", "${local.sagemaker}:training-job/*"]
    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/trefoil:ground"
      values   = [var.name]
    }
  }

  statement {
    sid       = "PassRole"
    actions   = ["iam:PassRole"]
    resources = [aws_iam_role.training.arn, aws_iam_role.deploy.arn]
    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["sagemaker.amazonaws.com"]
    }
  }

  statement {
    sid       = "Disks"
    actions   = ["kms:CreateGrant"]
    resources = [aws_kms_key.this.arn]
    condition {
      test     = "Bool"
      variable = "kms:GrantIsForAWSResource"
      values   = ["true"]
    }
  }
}
